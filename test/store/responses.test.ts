import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import OpenAI from "openai";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { SharedResponses } from "../../src/server/shared-responses.ts";
import { storeAddress } from "../../src/store/address.ts";
import { StoreConnection } from "../../src/store/connection.ts";
import { Sealer } from "../../src/store/sealing.ts";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { fixedCredentials, startTestRelay, type TestRelay } from "../support/relay.ts";
import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";

const KEY = randomBytes(32).toString("base64");
const model = "gpt-5.5";

let store: StoreServer;
let backend: StandIn;
const relays: { relay: TestRelay; connection: StoreConnection }[] = [];

beforeEach(async () => {
  if (STORE_PROGRAM === undefined) return;
  store = await startStoreServer();
  backend = startStandIn();
});
afterEach(async () => {
  if (STORE_PROGRAM === undefined) return;
  for (const { relay, connection } of relays.splice(0)) {
    await relay.stop();
    connection.close();
  }
  await store[Symbol.asyncDispose]();
  await backend.stop();
  expect(backend.refusals).toEqual([]);
});

async function replica(): Promise<{ openai: OpenAI; relay: TestRelay; connection: StoreConnection }> {
  const connection = new StoreConnection({ address: storeAddress(store.url), prefix: "test", log: SILENT_LOG });
  await connection.open();
  const sealer = new Sealer(KEY);
  const { accessToken, accountId } = backend.issueLogin();
  const relay = startTestRelay({
    baseUrl: backend.baseUrl,
    credentials: fixedCredentials({ accessToken, accountId }),
    sharing: {
      store: connection,
      share: (local) => new SharedResponses({ store: connection, sealer, local, log: SILENT_LOG, now: Date.now }),
    },
  });
  relays.push({ relay, connection });
  return { openai: new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "any", maxRetries: 0 }), relay, connection };
}

/** What the backend was last asked, as `role: text` or the item's type. */
function lastInput(): string[] {
  const last = backend.requests.filter(({ path }) => path.endsWith("/responses")).at(-1);
  const body = last?.body as { input: { type: string; role?: string; content?: { text: string }[] }[] };
  return body.input.map((item) => (item.role ? `${item.role}: ${item.content?.[0]?.text}` : item.type));
}

const statusOf = async (work: Promise<unknown>): Promise<number | undefined> =>
  work.then(
    () => 200,
    (error: unknown) => (error instanceof OpenAI.APIError ? (error.status as number) : undefined),
  );

describe.skipIf(STORE_PROGRAM === undefined)("responses that replicas share", () => {
  test("one replica goes on from what another answered, at once, turn after turn", async () => {
    const [one, other, third] = [await replica(), await replica(), await replica()];
    const first = await one.openai.responses.create({ model, input: "one" });
    const second = await other.openai.responses.create({ model, input: "two", previous_response_id: first.id });
    const stream = third.openai.responses.stream({ model, input: "three", previous_response_id: second.id });
    const last = await stream.finalResponse();
    expect(lastInput()).toEqual([
      "user: one",
      "reasoning",
      `assistant: ${first.output_text}`,
      "user: two",
      "reasoning",
      `assistant: ${second.output_text}`,
      "user: three",
    ]);
    expect((await one.openai.responses.retrieve(last.id)).output_text).toBe(last.output_text);
    const items = await other.openai.responses.inputItems.list(last.id, { order: "asc" });
    expect(items.data).toHaveLength(7);
  });

  test("an item of another replica's answer may be referred to", async () => {
    const [one, other] = [await replica(), await replica()];
    const first = await one.openai.responses.create({ model, input: "one" });
    const id = first.output.at(-1)?.id ?? "";
    const input = [
      { type: "item_reference" as const, id },
      { role: "user" as const, content: "and?" },
    ];
    await other.openai.responses.create({ model, input });
    expect(lastInput()).toEqual([`assistant: ${first.output_text}`, "user: and?"]);
  });

  test("an item may be referred to while the replica that made it is still writing it down", async () => {
    const [one, other] = [await replica(), await replica()];
    const run = one.connection.run.bind(one.connection);
    one.connection.run = (...words) => Bun.sleep(40).then(() => run(...words));
    const { output } = await one.openai.responses.create({ model, input: "one" });
    const input = [{ type: "item_reference" as const, id: output.at(-1)?.id ?? "" }];
    expect((await other.openai.responses.create({ model, input })).status).toBe("completed");
  });

  test("what one replica deletes is gone for all", async () => {
    const [one, other] = [await replica(), await replica()];
    const { id } = await one.openai.responses.create({ model, input: "one" });
    await other.openai.responses.retrieve(id);
    await one.openai.responses.delete(id);
    expect(await statusOf(other.openai.responses.retrieve(id))).toBe(404);
    expect(await statusOf(other.openai.responses.create({ model, input: "x", previous_response_id: id }))).toBe(400);
    expect(await statusOf(one.openai.responses.delete(id))).toBe(404);
  });

  test("the store holds no word of it", async () => {
    const { openai, relay } = await replica();
    const { id } = await openai.responses.create({ model, input: "a secret of mine" });
    await relay.drain(5000);
    const all = JSON.stringify(await store.send("HGETALL", `{test}:response::${id}`));
    expect(all).toContain("v1.");
    expect(all).not.toContain("secret");
  });

  test("requests that refer to nothing ask the store nothing", async () => {
    const { openai, connection } = await replica();
    const before = connection.commands;
    await openai.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }] });
    await openai.responses.create({ model, input: "hi", store: false });
    expect(connection.commands).toBe(before);
  });

  test("while the store is away each replica has its own, and nothing is lost when it is back", async () => {
    const [one, other] = [await replica(), await replica()];
    await store.kill();
    const first = await one.openai.responses.create({ model, input: "one" });
    const second = await one.openai.responses.create({ model, input: "two", previous_response_id: first.id });
    const missing = other.openai.responses.create({ model, input: "x", previous_response_id: first.id });
    expect(await statusOf(missing)).toBe(400);
    await store.start();
    const deadline = performance.now() + 5000;
    while (!(one.connection.isUp && other.connection.isUp) && performance.now() < deadline) await Bun.sleep(10);
    const third = await one.openai.responses.create({ model, input: "three", previous_response_id: second.id });
    expect(third.status).toBe("completed");
    const fresh = await one.openai.responses.create({ model, input: "four" });
    expect((await other.openai.responses.retrieve(fresh.id)).id).toBe(fresh.id);
  });
});
