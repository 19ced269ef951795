import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { bearer, TestKeys } from "../support/keys.ts";
import { post } from "../support/relay.ts";

const model = "gpt-5.5";

let keys: TestKeys;
let demo: DemoRelay;
beforeEach(() => {
  keys = new TestKeys();
});
afterEach(async () => {
  await demo.stop();
  keys.remove();
});

describe("what one key stored, another does not see", () => {
  let mine: OpenAI;
  let theirs: OpenAI;
  let other: string;
  beforeEach(async () => {
    demo = startDemoRelay({ keys: keys.ring });
    const options = { baseURL: demo.v1, maxRetries: 0 };
    mine = new OpenAI({ ...options, apiKey: await keys.add("mine") });
    theirs = new OpenAI({ ...options, apiKey: (other = await keys.add("theirs")) });
  });

  /** Status of every way to reach a stored response, or "in". */
  async function waysIn(id: string, itemId: string): Promise<unknown[]> {
    const ways = [
      () => theirs.responses.retrieve(id),
      () => theirs.responses.inputItems.list(id),
      () => theirs.responses.delete(id),
      () => theirs.responses.cancel(id),
      () => theirs.responses.create({ model, input: "go on", previous_response_id: id }),
      () => theirs.responses.create({ model, input: [{ type: "item_reference", id: itemId }] }),
      () => theirs.responses.create({ model, input: "go on", previous_response_id: `\n${id}` }),
    ];
    const tried = [];
    for (const way of ways) {
      tried.push(
        await way().then(
          () => "in",
          (error: unknown) => (error instanceof OpenAI.APIError ? error.status : error),
        ),
      );
    }
    return tried;
  }

  test("over HTTP", async () => {
    const first = await mine.responses.create({ model, input: "my secret" });
    const [item] = first.output;
    expect(await waysIn(first.id, item?.id ?? "")).toEqual([404, 404, 404, 404, 400, 400, 400]);
    // All of it is still there for its owner.
    expect((await mine.responses.retrieve(first.id)).id).toBe(first.id);
    const again = await mine.responses.create({ model, input: "go on", previous_response_id: first.id });
    expect(again.previous_response_id).toBe(first.id);
    expect((await mine.responses.inputItems.list(again.id)).data.length).toBeGreaterThan(1);
    expect(await mine.responses.delete(first.id)).toMatchObject({ deleted: true });
    expect(demo.backend.refusals).toEqual([]);
  });

  test("over a WebSocket", async () => {
    const first = await mine.responses.create({ model, input: "my secret" });
    const socket = new WebSocket(`${demo.v1.replace("http", "ws")}/responses`, {
      headers: bearer(other),
    } as unknown as string[]);
    const answered = Promise.withResolvers<string>();
    socket.addEventListener("open", () =>
      socket.send(JSON.stringify({ type: "response.create", model, input: "go on", previous_response_id: first.id })),
    );
    socket.addEventListener("message", ({ data }) => answered.resolve(String(data)));
    socket.addEventListener("error", () => answered.reject(new Error("it did not open")));
    expect(JSON.parse(await answered.promise)).toMatchObject({
      type: "error",
      status: 400,
      error: { code: "previous_response_not_found" },
    });
    socket.close();
  });

  test("and conversations of the same name stay apart on their way", async () => {
    const ask = (client: OpenAI, input: string) =>
      client.responses.create({ model, input, prompt_cache_key: "the same", store: false });
    await ask(mine, "one");
    await ask(theirs, "two");
    await ask(mine, "one");
    expect(demo.backend.refusals).toEqual([]);
  });
});

test("reasoning behind a tool call comes back to the key that it was for", async () => {
  demo = startDemoRelay({ keys: keys.ring });
  const [mine, theirs] = [await keys.add("mine"), await keys.add("theirs")];
  const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
  const question = { role: "user", content: "call get_weather" };
  const ask = (key: string, messages: object[]) =>
    post(`${demo.v1}/chat/completions`, { model, messages, tools }, bearer(key)).then((reply) => reply.json());
  const answer = (await ask(mine, [question])) as { choices: { message: { tool_calls: { id: string }[] } }[] };
  const message = answer.choices[0]?.message;
  const loop = [question, message ?? {}, { role: "tool", tool_call_id: message?.tool_calls[0]?.id, content: "rain" }];
  const sent = async (key: string) => {
    await ask(key, loop);
    const { body } = demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).at(-1) ?? {};
    return (body as { input: { type: string }[] }).input.map(({ type }) => type);
  };
  expect(await sent(theirs)).not.toContain("reasoning");
  expect(await sent(mine)).toContain("reasoning");
});
