import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { completed, created, delta, fakeCodex, sse } from "../support/fake-codex.ts";
import { post, startTestRelay } from "../support/relay.ts";

let demo: DemoRelay;
let openai: OpenAI;
beforeEach(() => {
  demo = startDemoRelay();
  openai = new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
});
afterEach(async () => {
  expect(demo.backend.refusals).toEqual([]);
  await demo.stop();
});

const model = "gpt-5.5";
const tools = [
  {
    type: "function" as const,
    name: "get_weather",
    strict: false,
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
];

/** What the backend was last asked, as `role: text` or the item's type. */
function lastInput(): string[] {
  const body = demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).at(-1)?.body as {
    input: { type: string; role?: string; content?: { text: string }[] }[];
  };
  return body.input.map((item) => (item.role ? `${item.role}: ${item.content?.[0]?.text}` : item.type));
}

async function refusal(promise: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof OpenAI.APIError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

function storeOverSocket(asked: { model: string; input: string; store?: boolean }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = new ResponsesWS(openai);
    socket.on("error", reject);
    socket.on("response.completed", ({ response }) => {
      socket.close();
      resolve(Reflect.get(response, "store"));
    });
    socket.send({ type: "response.create", ...asked });
  });
}

describe("previous_response_id", () => {
  test("goes on from a whole reply and from a streamed one", async () => {
    const first = await openai.responses.create({ model, input: "one", instructions: "be brief" });
    const stream = openai.responses.stream({ model, input: "two", previous_response_id: first.id });
    const second = await stream.finalResponse();
    const third = await openai.responses.create({ model, input: "three", previous_response_id: second.id });
    expect(lastInput()).toEqual([
      "user: one",
      "reasoning",
      `assistant: ${first.output_text}`,
      "user: two",
      "reasoning",
      `assistant: ${second.output_text}`,
      "user: three",
    ]);
    expect(third.previous_response_id).toBe(second.id);
    const bodies = demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).map(({ body }) => body);
    expect(bodies.map((body) => (body as Record<string, unknown>)["previous_response_id"])).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    // Instructions are not inherited.
    expect(bodies.map((body) => (body as Record<string, unknown>)["instructions"])).toEqual(["be brief", "", ""]);
  });

  test("carries a tool loop that sends only the results", async () => {
    const first = await openai.responses.create({ model, input: "call get_weather", tools });
    const call = first.output.find((item) => item.type === "function_call");
    if (!call) throw new Error("no call");
    const answer = await openai.responses.create({
      model,
      tools,
      previous_response_id: first.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: "rain" }],
    });
    expect(lastInput().filter((item) => item !== "reasoning")).toEqual([
      "user: call get_weather",
      "function_call",
      "function_call_output",
    ]);
    expect(answer.output_text).not.toBe("");
    const open = await refusal(openai.responses.create({ model, input: "and?", previous_response_id: first.id }));
    expect(open.message).toContain(`No tool output found for function call ${call.call_id}.`);
    expect([open.status, open.param]).toEqual([400, "input"]);
  });

  test("that nobody knows, or that was not to be kept, is refused", async () => {
    const unknown = await refusal(openai.responses.create({ model, input: "x", previous_response_id: "resp_x" }));
    expect([unknown.status, unknown.code, unknown.param]).toEqual([
      400,
      "previous_response_not_found",
      "previous_response_id",
    ]);
    const secret = await openai.responses.create({ model, input: "one", store: false });
    const gone = await refusal(openai.responses.create({ model, input: "x", previous_response_id: secret.id }));
    expect(gone.code).toBe("previous_response_not_found");
  });
});

test("an item is referred to by its id", async () => {
  const first = await openai.responses.create({ model, input: "one" });
  const id = first.output.find((item) => item.type === "message")?.id ?? "";
  await openai.responses.create({
    model,
    input: [
      { type: "item_reference", id },
      { role: "user", content: "two" },
    ],
  });
  expect(lastInput()).toEqual([`assistant: ${first.output_text}`, "user: two"]);
  const unknown = await refusal(openai.responses.create({ model, input: [{ type: "item_reference", id: "msg_x" }] }));
  expect([unknown.status, unknown.code, unknown.param]).toEqual([400, "invalid_value", "input[0].id"]);
});

describe("a stored response", () => {
  test("can be fetched, listed and deleted", async () => {
    const first = await openai.responses.create({ model, input: "one" });
    const second = await openai.responses.create({ model, input: "two", previous_response_id: first.id });
    expect(await openai.responses.retrieve(second.id)).toMatchObject({ id: second.id, output: second.output });
    const items = [];
    for await (const item of openai.responses.inputItems.list(second.id, { limit: 1 })) items.push(item);
    expect(items.map((item) => (item.type === "message" ? item.role : item.type))).toEqual([
      "user",
      "assistant",
      "reasoning",
      "user",
    ]);
    const page = await openai.responses.inputItems.list(second.id, { order: "asc", limit: 2 });
    expect([page.data.length, page.has_more]).toEqual([2, true]);
    await openai.responses.delete(second.id);
    expect((await refusal(openai.responses.retrieve(second.id))).status).toBe(404);
    expect((await refusal(openai.responses.delete(second.id))).message).toContain(
      `No response found with id '${second.id}'.`,
    );
    expect((await openai.responses.retrieve(first.id)).id).toBe(first.id);
    expect((await refusal(openai.responses.cancel(first.id))).status).toBe(400);
  });

  test("says whether it is one, in every event and over a socket (microsoft/vscode#325436)", async () => {
    for (const store of [undefined, true, false]) {
      const told: unknown[] = [];
      const asked = { model, input: "one", ...(store === undefined ? {} : { store }) };
      for await (const event of await openai.responses.create({ ...asked, stream: true })) {
        if ("response" in event) told.push(Reflect.get(event.response, "store"));
      }
      const whole = await openai.responses.create(asked);
      told.push(Reflect.get(whole, "store"));
      told.push(await storeOverSocket(asked));
      expect(new Set(told)).toEqual(new Set([store !== false]));
      const kept = await openai.responses.retrieve(whole.id).catch(() => undefined);
      expect(kept && Reflect.get(kept, "store")).toBe(store === false ? undefined : true);
    }
    const bodies = demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).map(({ body }) => body);
    expect(bodies.map((body) => Reflect.get(Object(body), "store"))).toEqual(bodies.map(() => false));
  });

  test("belongs to the key that made it", async () => {
    const first = await openai.responses.create({ model, input: "one" });
    expect((await openai.responses.retrieve(first.id)).id).toBe(first.id);
    expect((await refusal(openai.responses.inputItems.list("resp_x"))).status).toBe(404);
    const odd = await fetch(`${demo.v1}/responses/${first.id}/input_items?limit=0`);
    expect(odd.status).toBe(400);
  });
});

test.each([true, false])("what is forgotten while it is used costs nobody the answer (stream: %p)", async (stream) => {
  const asked = Promise.withResolvers<void>();
  const forgotten = Promise.withResolvers<void>();
  const item = { type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: "first" }] };
  const second = { ...completed, response: { ...completed.response, id: "resp_2" } };
  await using backend = fakeCodex(
    () => sse([created, { type: "response.output_item.done", output_index: 0, item }, completed]),
    async () => {
      asked.resolve();
      await forgotten.promise;
      return sse([created, delta("second"), second]);
    },
  );
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const url = `${relay.url}/v1/responses`;
  await (await post(url, { model, input: "hello" })).text();
  const input = [
    { type: "item_reference", id: "msg_1" },
    { role: "user", content: "more" },
  ];
  const reply = post(url, { model, stream, input }).then((response) => response.text());
  await asked.promise;
  expect((await fetch(`${url}/resp_1`, { method: "DELETE" })).status).toBe(200);
  forgotten.resolve();
  const text = await reply;
  expect(text).toContain("second");
  expect(text).toContain('"status":"completed"');
  expect(text).not.toContain("is not known to the relay");
  // Half a conversation is none.
  expect((await fetch(`${url}/resp_2`)).status).toBe(404);
});
