import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RelayError } from "../../src/lib/errors.ts";
import * as json from "../../src/lib/large-json.ts";
import * as parsing from "../../src/lib/parse-json.ts";

const MIB = 1024 * 1024;

/** From a mebibyte on in pieces, so that not every case has to be larger than that. */
const parseJsonBytes = (bytes: Uint8Array) => parsing.parseJsonBytes(bytes, MIB);
const writeJson = (value: object) => json.writeJson(value, MIB);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (written: string | Uint8Array) =>
  typeof written === "string" ? written : new TextDecoder().decode(written);

/** Runs something and counts how often others had their turn meanwhile. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const tick = () => {
    turns += 1;
    pending = setImmediate(tick);
  };
  let pending = setImmediate(tick);
  await work();
  clearImmediate(pending);
  return turns;
}

/** Texts that are larger than one piece, and cut in every possible place of what they repeat. */
const TEXTS: readonly (readonly [string, string])[] = [
  ["plain text", "words of a book "],
  ["escapes", '\\n\\"\\\\'],
  ["escaped characters", "\\u0416\\u00e9"],
  ["pairs of surrogates", "\\ud83d\\ude00😀"],
  ["lone surrogates", "\\ud83d.\\ude00"],
  ["characters of two and three bytes", "Ж日\u2028"],
  ["backslashes", "\\\\\\\\"],
];

describe.each(TEXTS)("a long string of %s", (_what, unit) => {
  test("is read and written as JSON.parse and JSON.stringify do it", async () => {
    for (let shift = 0; shift < 12; shift += 1) {
      const text = `{"a":["${"x".repeat(shift)}${unit.repeat((1.2 * MIB) / unit.length)}",{"b":" tail ${unit.repeat(40)}"}]}`;
      const parsed = await parseJsonBytes(bytesOf(text));
      expect(Bun.deepEquals(parsed, JSON.parse(text))).toBe(true);
      expect(textOf(await writeJson(parsed as object)) === JSON.stringify(parsed)).toBe(true);
    }
  });
});

const FILLER = `"${"f".repeat(MIB)}"`;

test.each([
  ["a string alone", FILLER],
  ["an array", `[${FILLER},1,null,-0,1e3,true]`],
  ["keys twice", `{"a":${FILLER},"a":"${"g".repeat(100)}","b":{"a":${FILLER}}}`],
  ["keys that objects have of themselves", `{"__proto__":${FILLER},"constructor":{"prototype":${FILLER}}}`],
  ["a long key", `{"${"k".repeat(MIB)}" \n : "${"v".repeat(100)}"}`],
  ["a byte order mark", `\ufeff{"a":${FILLER},"b":"${"\ufeff".repeat(100)}"}`],
  [
    "many strings of middling length",
    `[${Array(20_000)
      .fill(`"${"m\\n".repeat(30)}"`)
      .join(",\n ")}]`,
  ],
  ["much space", `{"a":${" ".repeat(2 * MIB)}1}`],
])("%s is read as JSON.parse does it", async (_what, text) => {
  const expected: unknown = JSON.parse(text.replace(/^\ufeff/, ""));
  expect(Bun.deepEquals(await parseJsonBytes(bytesOf(text)), expected)).toBe(true);
  expect(({} as Record<string, unknown>)["prototype"]).toBeUndefined();
});

test.each([
  ["an end too early", `{"a":${FILLER}`],
  ["a string without its end", `{"a":"${"x".repeat(2 * MIB)}`],
  ["a string that ends in a backslash", `{"a":"${"x".repeat(2 * MIB)}\\`],
  ["an escape that is none", `{"a":"${"x".repeat(2 * MIB)}\\x"}`],
  ["hexadecimal that is none", `{"a":"${"x".repeat(2 * MIB)}\\u12"}`],
  ["a line break in a string", `{"a":"${"x".repeat(2 * MIB)}\n"}`],
  ["a comma too many", `[${FILLER},]`],
  ["only space", " ".repeat(2 * MIB)],
])("%s is no JSON", async (_what, text) => {
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  const error = await parseJsonBytes(bytesOf(text)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SyntaxError);
});

test.each([
  ["objects", `[${"{},".repeat(MIB)}{}]`],
  ["numbers", `[${"0,".repeat(2 * MIB)}0]`],
])("millions of %s are refused before they are made", async (_what, text) => {
  const error = await parseJsonBytes(bytesOf(text)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RelayError);
  expect((error as RelayError).status).toBe(413);
});

test.each([
  ["small", ""],
  ["large", `"${"x".repeat(2 * MIB)}",`],
])("a %s body may be nested, but not without end", async (_size, filler) => {
  const nested = (depth: number) => `[${filler}${'["[]]",{"a":'.repeat(depth)}1${"}]".repeat(depth)}]`;
  expect(Bun.deepEquals(await parseJsonBytes(bytesOf(nested(249))), JSON.parse(nested(249)))).toBe(true);
  const error = await parseJsonBytes(bytesOf(nested(250))).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "invalid_request" });
});

test("others have their turn while much is read and written", async () => {
  const value = { model: "m", list: [{ text: "t\n".repeat(8 * MIB) }, { text: "short" }], nothing: undefined };
  const bytes = bytesOf(JSON.stringify(value));
  expect(await turnsDuring(() => parseJsonBytes(bytes))).toBeGreaterThan(20);
  let written: string | Uint8Array = "";
  expect(await turnsDuring(async () => (written = await writeJson(value)))).toBeGreaterThan(15);
  expect(textOf(written) === JSON.stringify(value)).toBe(true);
  // Small ones are not made to wait.
  expect(await turnsDuring(async () => writeJson({ a: 1 }))).toBe(0);
});

test("the rough length is near the true one, and is not counted to its end for nothing", () => {
  const value = { a: ["x".repeat(5000), 1, null], b: { c: true } };
  expect(Math.abs(json.roughJsonSize(value).characters - JSON.stringify(value).length)).toBeLessThan(50);
  expect(json.roughJsonSize([value, value, value], 100).characters).toBeLessThan(16_000);
});

/** What parsers stumble over, beside plain text; long enough to be taken out of the rest and put back. */
const shreds = fc.array(
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.constantFrom("{", "}", "[", "]", '"', ",", ":", "\\", " ", "\n", "\t"),
    fc.constantFrom("\\u", "\\ud83d", "\\ude00", "\\u0041", "\\n", '\\"', "\\\\", "\\x", "-0", "1e999", "null", "nul"),
    fc.constantFrom('"__proto__":', '"constructor":', '"a":', `"${"long ".repeat(20)}"`, "\u2028", "\ufeff", "\0"),
  ),
  { maxLength: 20 },
);
const textWithString = shreds.map((parts) => `"k":"${"x".repeat(70)}${parts.join("")}"`);
const textOfAnything = fc.oneof(
  shreds.map((parts) => parts.join("")),
  fc.json({ stringUnit: "binary", maxDepth: 6 }).map((json) => `"k":${json}`),
);

/** The value, or that there is none. */
function outcome(parse: () => unknown): { readonly json: string } | "no JSON" {
  try {
    return { json: Bun.inspect(parse(), { depth: 50 }) };
  } catch (error) {
    if (error instanceof SyntaxError) return "no JSON";
    throw error;
  }
}

test.each([
  ["strings", textWithString],
  ["anything", textOfAnything],
])("%s in a large text are read as JSON.parse reads them, or not at all as it does", async (_what, texts) => {
  await fc.assert(
    fc.asyncProperty(texts, fc.array(fc.nat(255), { maxLength: 2 }), fc.nat(), async (text, strays, place) => {
      const bytes = bytesOf(`{${text},"filler":${FILLER}}`);
      // Bytes that may be no character at all, anywhere in the part that matters.
      const end = bytes.length - FILLER.length - 12;
      for (const [index, stray] of strays.entries()) bytes[(place + index * 7) % end] = stray;
      const read = await parseJsonBytes(bytes).then(
        (value) => () => value,
        (error: unknown) => () => {
          throw error;
        },
      );
      expect(outcome(read)).toEqual(outcome(() => JSON.parse(new TextDecoder().decode(bytes)) as unknown));
    }),
    { numRuns: 100 },
  );
});

test("any object is written as JSON.stringify writes it", async () => {
  const units = fc.constantFrom("\ud83d", "\ude00", "a", '"', "\\", "\n", "\u0001", "é", "日", "😀");
  const values = fc.anything({
    withNullPrototype: false,
    values: [fc.string({ unit: units }), fc.double(), fc.boolean(), fc.constantFrom(null, undefined, -0)],
  });
  const long = fc
    .tuple(fc.string({ unit: units, maxLength: 9 }), units)
    .map(([head, unit]) => head + unit.repeat(1.2 * MIB));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string({ unit: units }), values), long, values, async (object, text, value) => {
      const whole = { ...object, list: [value, { text }, value], text };
      expect(textOf(await writeJson(whole)) === JSON.stringify(whole)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test.each([
  ["a quote inside a string does not end it", `"\\"${"[".repeat(600)}"`],
  ["nor does one after three backslashes", `"\\\\\\"${"[".repeat(600)}"`],
  ["a string of backslashes ends at its quote", `"\\\\\\\\"`],
])("%s", async (_, string) => {
  const padding = "x".repeat(2000);
  const text = `{"pad":"${padding}","text":${string},"after":[1]}`;
  expect(await parseJsonBytes(new TextEncoder().encode(text))).toEqual(JSON.parse(text));
});

test("what comes after a string of backslashes counts as depth", async () => {
  const text = `{"pad":"${"x".repeat(2000)}","text":"\\\\","deep":${"[".repeat(600)}${"]".repeat(600)}}`;
  await expect(parseJsonBytes(new TextEncoder().encode(text))).rejects.toMatchObject({ code: "invalid_request" });
});

test("a text is parsed as its bytes are, in pieces when it is large", async () => {
  const value = { text: "é\n".repeat(MIB), list: [1] };
  const text = JSON.stringify(value);
  expect(
    await turnsDuring(async () => expect(Bun.deepEquals(await parsing.parseJsonText(text, MIB), value)).toBe(true)),
  ).toBeGreaterThan(1);
  expect(await parsing.parseJsonText("[1]")).toEqual([1]);
  await expect(parsing.parseJsonText(`[${"0,".repeat(2 * MIB)}0]`)).rejects.toMatchObject({
    code: "request_too_large",
  });
});
