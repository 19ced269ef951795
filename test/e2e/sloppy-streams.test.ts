import { expect, test } from "bun:test";
import OpenAI from "openai";
import { loadCases } from "../support/cases.ts";
import { completed, created, delta, fakeCodex, sse } from "../support/fake-codex.ts";
import { startTestRelay } from "../support/relay.ts";

/*
 * Streams that leave out, repeat or misplace what the public API never would. The SDK's stream helper throws on each of
 * them as upstream has it; behind the relay it ends with the same response that a request without a stream gets.
 */

const at = { output_index: 0, item_id: "msg_1" };
const item = { id: "msg_1", type: "message", role: "assistant", status: "completed" };
const message = { ...item, content: [{ type: "output_text", text: "Hi", annotations: [] }] };
const begun = { ...item, status: "in_progress", content: [] };
const call = { id: "msg_1", type: "function_call", call_id: "call_1", name: "f", status: "completed", arguments: "{}" };
const added = (of: object, index = 0) => ({ type: "response.output_item.added", output_index: index, item: of });
const done = (of: object, index = 0) => ({ type: "response.output_item.done", output_index: index, item: of });
const args = (text: string) => ({ type: "response.function_call_arguments.delta", ...at, delta: text });
const thought = (over: object) => ({ output_index: 1, item_id: "rs_1", delta: "th", ...over });
const search = { id: "ws_1", type: "web_search_call", status: "completed" };
const bare = (type: string, over: object = {}) => ({ type, response: { id: "resp_1", ...over } });

const STREAMS: Record<string, [events: object[], text: string, status: string]> = {
  "nothing but text": [[delta("Hi"), completed], "Hi", "completed"],
  "a beginning that comes late": [[delta("H"), created, delta("i"), completed], "Hi", "completed"],
  "more after the end": [[created, delta("Hi"), completed, delta("Ho"), completed], "Hi", "completed"],
  "two beginnings": [[created, created, delta("Hi"), completed], "Hi", "completed"],
  "an item announced twice": [
    [created, added(begun), added(begun), delta("Hi"), done(message), completed],
    "Hi",
    "completed",
  ],
  "an item announced in its middle": [
    [created, delta("H"), added(begun), delta("i"), done(message), completed],
    "Hi",
    "completed",
  ],
  "a second part that nobody announced": [
    [created, delta("H"), { ...delta("i"), content_index: 1 }, completed],
    "Hi",
    "completed",
  ],
  "a part that is only ended": [
    [created, { type: "response.content_part.done", ...at, content_index: 0, part: message.content[0] }, completed],
    "Hi",
    "completed",
  ],
  "a refusal that is only ended": [
    [created, { type: "response.refusal.done", ...at, content_index: 0, refusal: "No." }, completed],
    "",
    "completed",
  ],
  "arguments before their call": [
    [created, args("{"), added({ ...call, arguments: "" }), args("}"), done(call), completed],
    "",
    "completed",
  ],
  "a call that is only ended": [[created, args("{}"), done(call), completed], "", "completed"],
  "a call that never ends": [[created, added({ ...call, arguments: "" }), args("{}"), completed], "", "completed"],
  "a call cut short": [
    [created, added({ ...call, arguments: "", status: "in_progress" }), args('{"a'), bare("response.incomplete")],
    "",
    "incomplete",
  ],
  "a summary without its beginning": [
    [created, delta("Hi"), thought({ type: "response.reasoning_summary_text.delta", summary_index: 0 }), completed],
    "Hi",
    "completed",
  ],
  "thoughts without their beginning": [
    [created, delta("Hi"), thought({ type: "response.reasoning_text.delta", content_index: 0 }), completed],
    "Hi",
    "completed",
  ],
  "a search without its beginning": [
    [
      created,
      { type: "response.web_search_call.searching", output_index: 0, item_id: "ws_1" },
      done(search),
      completed,
    ],
    "",
    "completed",
  ],
  "an end that says next to nothing": [
    [created, delta("Hi"), done(message), bare("response.completed")],
    "Hi",
    "completed",
  ],
  "an early end that says next to nothing": [[created, delta("Hi"), bare("response.incomplete")], "Hi", "incomplete"],
};

const ask = { model: "gpt-5.5", input: "hi" };

test.each(Object.entries(STREAMS))("%s", async (_name, [events, text, status]) => {
  await using fake = fakeCodex(() => sse(events));
  await using relay = startTestRelay({ baseUrl: fake.baseUrl });
  const client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "any", maxRetries: 0 });
  const final = await client.responses.stream(ask).finalResponse();
  expect([final.output_text, final.status]).toEqual([text, status] as [string, typeof final.status]);
  const whole = await client.responses.create(ask);
  expect(whole.output_text).toBe(text);
  expect(JSON.stringify(whole.output)).not.toContain(`"arguments":""`);
  // The helper adds what it parsed; on the wire the two are the same.
  expect(JSON.parse(JSON.stringify(whole.output)) as unknown).toEqual(wireOutput(final.output));
});

test.each([
  ["response.cancelled", bare("response.cancelled", { status: "cancelled" })],
  ["a failure called response.done", bare("response.done", { status: "failed", error: { message: "Boom" } })],
])("%s in the middle is an error", async (_name, end) => {
  await using fake = fakeCodex(() => sse([created, delta("Hi"), end]));
  await using relay = startTestRelay({ baseUrl: fake.baseUrl });
  const client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "any", maxRetries: 0 });
  const thrown = await client.responses
    .stream(ask)
    .finalResponse()
    .catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(OpenAI.APIError);
  const refusal = await client.responses.create(ask).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ status: 502 });
});

/** Every tape that ends in an answer, as the golden cases have it. */
const TAPES = loadCases().filter(
  ({ protocol, tape }) =>
    protocol.name === "responses" &&
    /"type":"response\.(completed|done|incomplete)"/.test(new TextDecoder().decode(tape)),
);

test.each(TAPES.map((one) => [one.name, one.tape] as const))(
  "the stream helper reads the tape of %s",
  async (_name, tape) => {
    const type = { "content-type": "text/event-stream" };
    await using fake = fakeCodex(() => new Response(tape.slice(), { headers: type }));
    await using relay = startTestRelay({ baseUrl: fake.baseUrl });
    const client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "any", maxRetries: 0 });
    const outcome = (reply: Promise<OpenAI.Responses.Response>) =>
      reply.then(
        ({ output }) => wireOutput(output),
        (error: unknown) => (error instanceof OpenAI.APIError ? error.code : String(error)),
      );
    const streamed = await outcome(client.responses.stream(ask).finalResponse());
    expect(streamed).toEqual(await outcome(client.responses.create(ask) as Promise<OpenAI.Responses.Response>));
  },
);

function wireOutput(output: readonly object[]): unknown {
  return JSON.parse(
    JSON.stringify(output, (key: string, value: unknown) =>
      key === "parsed" || key === "parsed_arguments" ? undefined : value,
    ),
  );
}
