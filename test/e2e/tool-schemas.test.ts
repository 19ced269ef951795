import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isObject } from "../../src/lib/json.ts";
import type { LogFields } from "../../src/lib/log.ts";
import { fakeCodex, refuses, says } from "../support/fake-codex.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { eventually, post, startTestRelay } from "../support/relay.ts";

let demo: DemoRelay;
beforeAll(() => {
  demo = startDemoRelay();
});
afterAll(() => demo.stop());

const good = { type: "object", properties: { city: { type: "string", minLength: 1 } }, required: ["city"] };
const bad = {
  anyOf: [{ required: ["name"] }],
  properties: { name: { type: "string", pattern: "^\\p{L}+$" }, tags: { type: "array" } },
};
const CHANGED = ["", ".properties.name.pattern", ".properties.tags.items"];

/** The same two tools in every dialect that has tools. */
const DIALECTS: readonly (readonly [string, object])[] = [
  [
    "/v1/chat/completions",
    {
      messages: [{ role: "user", content: "hi" }],
      tools: [
        { type: "function", function: { name: "good", parameters: good } },
        { type: "function", function: { name: "bad", parameters: bad } },
      ],
    },
  ],
  [
    "/v1/responses",
    {
      input: "hi",
      tools: [
        { type: "function", name: "good", parameters: good, strict: false },
        { type: "function", name: "bad", parameters: bad, strict: false },
      ],
    },
  ],
  [
    "/v1/messages",
    {
      max_tokens: 100,
      messages: [{ role: "user", content: "hi" }],
      tools: [
        { name: "good", input_schema: good },
        { name: "bad", input_schema: bad },
      ],
    },
  ],
  [
    "/api/chat",
    {
      stream: false,
      messages: [{ role: "user", content: "hi" }],
      tools: [
        { type: "function", function: { name: "good", parameters: good } },
        { type: "function", function: { name: "bad", parameters: bad } },
      ],
    },
  ],
];

function toolsSent(): Record<string, unknown>[] {
  const body = demo.backend.requests.findLast(({ path }) => path.endsWith("/responses"))?.body;
  if (!isObject(body)) return [];
  const [first] = body["input"] as Record<string, unknown>[];
  return (body["tools"] ?? first?.["tools"]) as Record<string, unknown>[];
}

describe.each(["gpt-5.5", "gpt-6-sol"])("with %s", (model) => {
  test.each(DIALECTS)(
    "%s: one bad schema is repaired when it is refused, alone, and that is named",
    async (path, body) => {
      const reply = await post(demo.relay.url + path, { model, ...body });
      expect(reply.status).toBe(200);
      await reply.text();
      const adjusted = reply.headers.get("x-plansocket-adjusted")?.split(", ") ?? [];
      expect(adjusted).toEqual(expect.arrayContaining(CHANGED.map((path) => `tools[1].parameters${path}`)));
      const [kept, repaired] = toolsSent();
      expect(kept?.["parameters"]).toEqual(good);
      expect(repaired?.["parameters"]).toMatchObject({
        type: "object",
        properties: { name: { type: "string" }, tags: { type: "array", items: {} } },
      });
    },
  );
});

test.each(DIALECTS)("%s: a schema that the backend takes goes as it is (openai/codex#42283)", async (path, body) => {
  await using fake = fakeCodex(says("Which one?"));
  await using relay = startTestRelay({ baseUrl: fake.baseUrl });
  const reply = await post(relay.url + path, { model: "gpt-5.5", ...body });
  await reply.text();
  expect(reply.headers.get("x-plansocket-adjusted") ?? "").not.toContain("tools");
  const tools = fake.bodies.map((sent) => sent["tools"]);
  expect(tools).toEqual([
    [
      expect.objectContaining({ parameters: good }),
      expect.objectContaining({ parameters: expect.objectContaining(bad) }),
    ],
  ]);
});

test("a strict tool that leaves something open is strict no longer, in Messages too", async () => {
  const reply = await post(`${demo.relay.url}/v1/messages`, {
    model: "gpt-5.5",
    max_tokens: 100,
    messages: [{ role: "user", content: "hi" }],
    tools: [{ name: "good", input_schema: good, strict: true }],
  });
  expect(reply.status).toBe(200);
  expect(reply.headers.get("x-plansocket-adjusted")).toBe("max_tokens, tools[0].strict");
  const sent = demo.backend.requests.findLast(({ path }) => path.endsWith("/responses"))?.body;
  expect(sent).toMatchObject({ tools: [{ name: "good", strict: false }] });
});

test("--strict leaves no rule out: the backend's refusal reaches the client, with the place", async () => {
  const strict = startDemoRelay({ relay: { strict: true } });
  const [[path, body] = ["", {}]] = DIALECTS;
  const reply = await post(strict.relay.url + path, { model: "gpt-5.5", ...body });
  expect(reply.status).toBe(400);
  expect(await reply.json()).toMatchObject({ error: { param: "tools[1].function.parameters" } });
  await strict.stop();
});

test("the log says which tools were repaired, and not what is in them", async () => {
  const lines: LogFields[] = [];
  const note = (_message: string, fields: LogFields = {}) => void lines.push(fields);
  const refusal = { message: "Invalid schema for function 'bad'", code: "invalid_function_parameters" };
  await using backend = fakeCodex(refuses(400, { error: refusal }), says("ok"));
  await using relay = startTestRelay({
    baseUrl: backend.baseUrl,
    log: { debug: note, info: note, warn: note, error: note },
  });
  const [[path, body] = ["", {}]] = DIALECTS;
  await (await post(relay.url + path, { model: "gpt-5.5", temperature: 1, ...body })).text();
  await eventually(() => lines.some((fields) => fields["adjusted"] !== undefined));
  expect(lines.find((fields) => fields["adjusted"])?.["adjusted"]).toBe("temperature,tools[1].parameters");
});

test("a Codex client's tools are its own business", async () => {
  await using backend = fakeCodex(says("ok"));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const tools = [{ type: "function", name: "bad", parameters: bad }];
  await post(`${relay.url}/v1/responses`, { model: "gpt-5.5", input: [], tools }, { originator: "codex_cli_rs" });
  expect(backend.bodies[0]?.["tools"]).toEqual(tools);
});

describe("what the backend refuses unexpectedly", () => {
  const refusal = (fault: string) =>
    refuses(400, {
      error: {
        message: `Invalid schema for function 'good': ${fault}`,
        type: "invalid_request_error",
        param: "tools[0].parameters",
        code: "invalid_function_parameters",
      },
    });
  const [[path, body] = ["", {}]] = DIALECTS;
  const parametersSent = (backend: { bodies: Record<string, unknown>[] }) =>
    backend.bodies.map((sent) => (sent["tools"] as { parameters: object }[])[0]?.parameters);

  test("is left out of that tool on a second try, named, and left out from the start next time", async () => {
    const fault = "In context=('properties', 'city'), 'minLength' is not permitted.";
    await using backend = fakeCodex(refusal(fault), says("ok"));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const plain = { ...good, properties: { city: { type: "string" } } };
    const ask = () => post(relay.url + path, { model: "gpt-5.5", ...body });
    const first = await ask();
    expect(first.status).toBe(200);
    expect(first.headers.get("x-plansocket-adjusted")).toContain("tools[0].parameters.minLength");
    expect(parametersSent(backend)).toEqual([good, plain]);
    const second = await ask();
    expect(second.headers.get("x-plansocket-adjusted")).toContain("tools[0].parameters.minLength");
    expect(parametersSent(backend)).toEqual([good, plain, plain]);
  });

  test("comes to the client when nothing helps", async () => {
    await using backend = fakeCodex(refusal("I do not like it."));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const reply = await post(relay.url + path, { model: "gpt-5.5", ...body });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({
      error: { code: "invalid_function_parameters", param: "tools[0].function.parameters" },
    });
    expect(parametersSent(backend)).toEqual([
      good,
      { ...good, properties: { city: { type: "string" } } },
      { type: "object", properties: {} },
    ]);
  });
});

describe("many tools with the same fault", () => {
  /** Refuses one tool a time, as the backend does. */
  const oneByOne = (isBad: (tool: Record<string, unknown>) => boolean, keyword: string) =>
    fakeCodex((body) => {
      const tools = body["tools"] as Record<string, unknown>[];
      const bad = tools.find(isBad);
      if (!bad) return says("ok")();
      const message = `Invalid schema for function '${String(bad["name"])}': '${keyword}' is not permitted.`;
      return Response.json({ error: { message, code: "invalid_function_parameters" } }, { status: 400 });
    });
  const request = (count: number) => ({
    model: "gpt-5.5",
    input: "hi",
    tools: Array.from({ length: count }, (_, index) => ({
      type: "function",
      name: `f${index}`,
      parameters: { type: "object", properties: { a: { type: "integer", format: "int64" } } },
      strict: false,
    })),
  });

  test("are simplified together once it is clear that they share it", async () => {
    await using backend = oneByOne(({ parameters }) => JSON.stringify(parameters).includes("format"), "format");
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    expect((await post(`${relay.url}/v1/responses`, request(300))).status).toBe(200);
    expect(backend.bodies).toHaveLength(5);
  });

  test("end in the refusal when nothing helps", async () => {
    await using backend = oneByOne(() => true, "format");
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    expect((await post(`${relay.url}/v1/responses`, request(300))).status).toBe(400);
    expect(backend.bodies.length).toBeLessThan(20);
  });
});
