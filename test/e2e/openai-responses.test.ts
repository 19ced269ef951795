import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { tokenCounter } from "../../src/lib/tokens.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { post } from "../support/relay.ts";

let demo: DemoRelay;
let openai: OpenAI;

beforeAll(() => {
  demo = startDemoRelay();
  openai = new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
});
afterEach(() => {
  expect(demo.backend.refusals).toEqual([]);
});
afterAll(() => demo.stop());

const thrownBy = (call: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(call).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
const lastTo = (path: string) => demo.backend.requests.findLast((request) => request.path === path);
const NOT_THERE = { kind: "http", status: 404, body: { detail: "Not Found" } } as const;

describe.each(["gpt-5.5", "gpt-6-sol"])("responses.compact with %s", (model) => {
  const input = [
    { role: "user", content: "Name a river." },
    { role: "assistant", content: "The Rhine." },
  ] as const;

  test("at the backend's endpoint, and the conversation goes on with what came of it", async () => {
    const compacted = await openai.responses.compact({ model, input: [...input], instructions: "You help." });
    expect([compacted.object, compacted.output.map(({ type }) => type)]).toEqual([
      "response.compaction",
      ["compaction"],
    ]);
    expect(compacted.usage.input_tokens_details.cached_tokens).toBe(0);
    const asked = lastTo("/backend-api/codex/responses/compact");
    expect(Object.keys(asked?.body as object).toSorted()).toEqual(["input", "instructions", "model"]);
    expect(asked?.headers["session-id"]).toMatch(/^[0-9a-f-]{36}$/);
    const next = await openai.responses.create({
      model,
      input: [...(compacted.output as OpenAI.Responses.ResponseInputItem[]), { role: "user", content: "Say hello." }],
    });
    expect(next.output_text).toBeTruthy();
  });

  test("by a response, where that endpoint is gone", async () => {
    demo.backend.scriptEndpoints(NOT_THERE);
    const compacted = await openai.responses.compact({ model, input: [...input] });
    expect(compacted.output.map(({ type }) => type)).toEqual(["compaction"]);
    expect(compacted.usage.total_tokens).toBeGreaterThan(0);
  });

  test("of a response that the relay remembers", async () => {
    const first = await openai.responses.create({ model, input: "Name a river." });
    await openai.responses.compact({ model, previous_response_id: first.id });
    const { body } = lastTo("/backend-api/codex/responses/compact") ?? {};
    expect(JSON.stringify(body)).toContain("Name a river.");
  });
});

test("a Codex client's compaction passes as it is", async () => {
  const body = {
    model: "gpt-5.5",
    input: [{ type: "message", role: "user", content: [] }],
    instructions: "",
    tools: [],
  };
  const headers = { originator: "codex_cli_rs", "session-id": "s-1" };
  const reply = await post(`${demo.v1}/responses/compact`, body, headers);
  expect(await reply.json()).toMatchObject({ output: [{ type: "compaction" }] });
  const asked = lastTo("/backend-api/codex/responses/compact");
  expect(asked?.body).toEqual(body);
  expect(asked?.headers["session-id"]).toBe("s-1");
  // Where the endpoint is gone, the item of a response stands for its answer (contract 0.15).
  demo.backend.scriptEndpoints(NOT_THERE);
  const fallback = await post(`${demo.v1}/responses/compact`, body, headers);
  expect([fallback.status, await fallback.json()]).toMatchObject([200, { output: [{ type: "compaction" }] }]);
});

describe("responses.inputTokens.count", () => {
  test("counts the request's text in the models' vocabulary, without asking anybody", async () => {
    const before = demo.backend.counts.responses;
    const input = "The quick brown fox jumps over the lazy dog. ".repeat(50);
    const short = await openai.responses.inputTokens.count({ model: "gpt-5.5", input: "" });
    const counted = await openai.responses.inputTokens.count({ model: "gpt-5.5", input });
    expect(counted.object).toBe("response.input_tokens");
    const count = await tokenCounter();
    expect(counted.input_tokens - short.input_tokens).toBe(await count(input));
    const tools = [
      { type: "function", name: "f", strict: false, parameters: { type: "object", properties: {} } },
    ] as const;
    const withTools = await openai.responses.inputTokens.count({ model: "gpt-5.5", input, tools: [...tools] });
    expect(withTools.input_tokens).toBeGreaterThan(counted.input_tokens);
    expect(demo.backend.counts.responses).toBe(before);
  });

  test("of what the relay remembers, of nothing, and of what it cannot know", async () => {
    const first = await openai.responses.create({ model: "gpt-5.5", input: "Say hello." });
    const next = { model: "gpt-5.5", input: "And again." };
    const alone = await openai.responses.inputTokens.count(next);
    const after = await openai.responses.inputTokens.count({ ...next, previous_response_id: first.id });
    expect(after.input_tokens).toBeGreaterThan(alone.input_tokens);
    expect((await openai.responses.inputTokens.count()).input_tokens).toBeGreaterThan(0);
    const unknown = openai.responses.inputTokens.count({ ...next, previous_response_id: "resp_x" });
    expect(await thrownBy(unknown)).toMatchObject({ status: 400, code: "previous_response_not_found" });
    expect(await thrownBy(openai.responses.inputTokens.count({ model: "gpt-4o" }))).toMatchObject({ status: 404 });
  });
});

test("responses.stream goes on from a streamed response", async () => {
  const first = openai.responses.stream({ model: "gpt-5.5", input: "Say hello." });
  const { id } = await first.finalResponse();
  const second = openai.responses.stream({ model: "gpt-5.5", input: "Say goodbye.", previous_response_id: id });
  expect((await second.finalResponse()).output_text).toContain("goodbye");
  expect(JSON.stringify(lastTo("/backend-api/codex/responses")?.body)).toContain("Say hello.");
});
