import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../src/config/load.ts";
import { configSchema } from "../../src/config/schema.ts";
import { SETTINGS, type Setting } from "../../src/config/settings.ts";

describe("checking a config file", () => {
  test("finds everything at once, and names the key", () => {
    const problems = checkConfig(
      JSON.stringify({
        prot: 1,
        port: 99_999,
        log_level: "loud",
        strict: "perhaps",
        models: [1],
        api_key: 5,
        host: "",
      }),
    );
    expect(problems.map(({ key }) => key)).toEqual([
      "prot",
      "host",
      "port",
      "api_key",
      "log_level",
      "models",
      "strict",
    ]);
    expect(problems[0]).toEqual({ key: "prot", message: "Unknown key 'prot'.", hint: "Did you mean 'port'?" });
    expect(problems[2]?.message).toContain("Bad value '99999' for config.json (port)");
  });

  test("shows no secret", () => {
    const text = JSON.stringify(
      checkConfig(JSON.stringify({ proxy: "ftp://user:hunter2@p", api_key: { a: "hunter2" } })),
    );
    expect(text).toContain("config.json (proxy)");
    expect(text).not.toContain("hunter2");
  });

  test.each(["[]", "null", '"x"'])("%p is not a config file", (text) => {
    expect(checkConfig(text)).toMatchObject([{ key: undefined, message: "is not a JSON object." }]);
  });

  test.each([
    ["", "line 1, column 1: expected a value."],
    ["{,}", 'line 1, column 2: expected a key in "double quotes" or }.'],
    ['{"port": 9100 "host": "127.0.0.1"}', "line 1, column 15: expected a comma or }."],
    ['{\n  "port": 9100,\n}', 'line 3, column 1: expected a key in "double quotes".'],
    ["{\n  'port': 1}", "line 2, column 3: expected a key"],
    ['{"a": [1, 2}', "line 1, column 12: expected a comma or ]."],
    ['{"a" 1}', "line 1, column 6: expected a colon after the key."],
    ['{"a": 01}', "line 1, column 7: expected a value."],
    ['{"a": "x\ny"}', "line 1, column 7: expected a value."],
    ['{"a": tru}', "line 1, column 7: expected a value."],
    ["{} x", "line 1, column 4: expected nothing more after the end."],
  ])("%p is not JSON, and the place of the fault is named", (text, place) => {
    expect(() => JSON.parse(text) as unknown).toThrow();
    expect(checkConfig(text)[0]?.message).toContain(`is not valid JSON: ${place}`);
  });

  test("a byte order mark is no fault", () => {
    expect(checkConfig('\uFEFF{"port": 9}')).toEqual([]);
  });

  test.each([
    {},
    { port: 9, models: ["a"], strict: true, api_key: null, log_level: "WARNING", log_format: "text" },
    { models: "a,b", strict: "on", port: "9", $schema: "file:///schema.json" },
  ])("%j is in order", (file) => {
    expect(checkConfig(JSON.stringify(file))).toEqual([]);
  });
});

describe("the schema for editors", () => {
  const { properties, additionalProperties } = configSchema() as {
    properties: Record<string, { type?: string; enum?: string[]; description?: string; default?: unknown }>;
    additionalProperties: boolean;
  };

  test("knows every key and no other", () => {
    const keys = Object.values<Setting>(SETTINGS).map(({ key }) => key);
    expect(Object.keys(properties).toSorted()).toEqual(["$schema", ...keys].toSorted());
    expect(additionalProperties).toBe(false);
  });

  test.each(Object.values<Setting>(SETTINGS).map((setting) => [setting.key, setting] as const))(
    "says what %s is",
    (key, setting) => {
      const property = properties[key];
      expect(property?.description).toBe(`${setting.help}.`);
      expect(["string", "integer", "number", "boolean", "array", "object"]).toContain(property?.type ?? "");
      // A default that the schema itself would refuse were a lie.
      if (property && "default" in property) {
        expect(checkConfig(JSON.stringify({ [key]: property.default }))).toEqual([]);
      }
    },
  );

  test("lists choices and kinds", () => {
    expect(properties["log_level"]?.enum).toEqual(["debug", "info", "warn", "error", "silent"]);
    expect(properties["port"]).toMatchObject({ type: "integer", minimum: 0, maximum: 65_535 });
    expect(properties["strict"]?.type).toBe("boolean");
    expect(properties["models"]?.type).toBe("array");
    expect(properties["lite"]?.type).toBe("string");
    expect(properties["max_body_mib"]?.type).toBe("number");
  });
});
