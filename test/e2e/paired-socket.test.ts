import { afterEach, describe, expect, test } from "bun:test";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { list, object } from "../support/dialect-clients.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { eventually, fixedCredentials, startTestRelay } from "../support/relay.ts";

let demo: DemoRelay;
let client: CodexSocket;
afterEach(async () => {
  client.close();
  await demo.stop();
});

const codex = { originator: "codex_exec", "user-agent": "codex_exec/0.171.0", version: "0.171.0", "session-id": "s1" };
const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });

/** One socket of a Codex client, which reads one reply after another. */
class CodexSocket {
  readonly #socket: WebSocket;
  readonly #frames: JsonObject[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(url: string) {
    this.#socket = new WebSocket(url, { headers: codex } as unknown as string[]);
    this.#socket.addEventListener("message", ({ data }) => {
      this.#frames.push(JSON.parse(String(data)) as JsonObject);
      this.#wake.resolve();
    });
    this.#socket.addEventListener("close", () => this.#wake.resolve());
  }

  async open(): Promise<void> {
    await new Promise((resolve) => this.#socket.addEventListener("open", resolve, { once: true }));
  }

  close(): void {
    this.#socket.close();
  }

  /** Sends the CLI's frame; the events up to the one that ends the reply, with its id. */
  async ask(input: unknown[], more: JsonObject = {}): Promise<{ id: string; types: string[]; last: JsonObject }> {
    this.#socket.send(JSON.stringify(frameOf(input, more)));
    const types: string[] = [];
    for (;;) {
      const frame = await this.#next();
      types.push(String(frame["type"]));
      if (!/^(error|response\.(completed|incomplete|failed))$/.test(types.at(-1) ?? "")) continue;
      const { response } = frame;
      return { id: isObject(response) ? String(response["id"]) : "", types, last: frame };
    }
  }

  async #next(): Promise<JsonObject> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) return frame;
      if (this.#socket.readyState === WebSocket.CLOSED) throw new Error("it was closed");
      this.#wake = Promise.withResolvers();
      await this.#wake.promise;
    }
  }
}

const frameOf = (input: unknown[], more: JsonObject): JsonObject => ({
  type: "response.create",
  model: "gpt-5.5",
  instructions: "Be brief.",
  input,
  tool_choice: "auto",
  parallel_tool_calls: false,
  store: false,
  stream: true,
  include: ["reasoning.encrypted_content"],
  client_metadata: { turn_id: "t1", "x-codex-ws-stream-request-start-ms": "1", ws_request_header_x_codex_note: "yes" },
  ...more,
});

async function start(transport: "auto" | "http" | "websocket", sockets = true): Promise<void> {
  demo = startDemoRelay({ upstream: { transport } }, { sockets });
  client = await connected();
}

async function connected(): Promise<CodexSocket> {
  const socket = new CodexSocket(`${demo.v1.replace("http", "ws")}/responses`);
  await socket.open();
  return socket;
}

/** Handshakes that were refused are no turns. */
const turns = () =>
  demo.backend.requests.filter(
    ({ path, method, frame }) => path.endsWith("/responses") && (method === "POST" || frame),
  );
const frames = () => turns().map(({ frame }) => frame as JsonObject | undefined);
/** What the user said in a request, in order. */
const texts = (index: number) =>
  list(object(turns()[index]?.body)["input"])
    .filter(({ role }) => role === "user")
    .map(({ content }) => list(content)[0]?.["text"]);

describe.each(["auto", "websocket"] as const)("a Codex client's socket, with %s upstream (contract 0.23)", (choice) => {
  test("has one of the backend's behind it, which hears its frames as they are", async () => {
    await start(choice);
    const warm = await client.ask([user("context")], { generate: false });
    expect(warm.types.filter((type) => !type.startsWith("codex."))).toEqual(["response.created", "response.completed"]);
    expect(warm.id).toStartWith("resp_warm");
    const first = await client.ask([user("hello")], { previous_response_id: warm.id });
    const second = await client.ask([user("more")], { previous_response_id: first.id });
    expect(second.types.at(-1)).toBe("response.completed");
    expect(frames()).toEqual([
      frameOf([user("hello")], { previous_response_id: warm.id }),
      frameOf([user("more")], { previous_response_id: first.id }),
    ]);
    expect(texts(1)).toEqual(["context", "hello", "more"]);
    expect(turns()[0]?.headers["session-id"]).toBe("s1");
    expect(demo.backend.openSockets()).toBe(1);
    expect(demo.backend.refusals).toEqual([]);
  });

  test("shares it with no other, and ends it with its own", async () => {
    await start(choice);
    await client.ask([user("one")]);
    const other = await connected();
    await other.ask([user("two")]);
    expect(demo.backend.openSockets()).toBe(2);
    other.close();
    await eventually(() => demo.backend.openSockets() === 1);
    client.close();
    await eventually(() => demo.backend.openSockets() === 0);
  });

  test("has the whole conversation sent where the backend's socket has lost it", async () => {
    await start(choice);
    const first = await client.ask([user("one")]);
    demo.backend.forgetResponses();
    const second = await client.ask([user("two")], { previous_response_id: first.id });
    demo.backend.cutSockets();
    await eventually(() => demo.backend.openSockets() === 0);
    const third = await client.ask([user("three")], { previous_response_id: second.id });
    expect(third.types.at(-1)).toBe("response.completed");
    expect(frames().map((frame) => frame?.["previous_response_id"])).toEqual([undefined, undefined, undefined]);
    expect(texts(2)).toEqual(["one", "two", "three"]);
  });

  test("hears of a refusal in the backend's own words, and can go on", async () => {
    await start(choice);
    expect((await client.ask([user("fault:usage_limit")])).last).toMatchObject({
      status: 429,
      error: { type: "usage_limit_reached" },
      headers: { "x-codex-primary-used-percent": expect.any(String) },
    });
    expect((await client.ask([user("hello")])).types.at(-1)).toBe("response.completed");
  });
});

test.each([
  ["http", true],
  ["auto", false],
] as const)("with %s upstream and sockets there: %p, its frames go over HTTP whole", async (choice, sockets) => {
  await start(choice, sockets);
  const warm = await client.ask([user("context")], { generate: false });
  const first = await client.ask([user("hello")], { previous_response_id: warm.id });
  await client.ask([user("more")], { previous_response_id: first.id });
  expect(frames()).toStrictEqual([undefined, undefined]);
  expect(texts(1)).toEqual(["context", "hello", "more"]);
  expect(demo.backend.refusals).toEqual([]);
});

test("a login that the handshake finds expired is renewed, and the whole conversation goes out with it", async () => {
  demo = startDemoRelay();
  let login = demo.backend.issueLogin({ residency: "eu" });
  let renewals = 0;
  const current = () => fixedCredentials({ ...login, residency: "eu" }).current();
  const recover = () => {
    renewals += 1;
    login = demo.backend.issueLogin({ residency: "eu" });
    return current();
  };
  const upstream = { transport: "websocket" } as const;
  const relay = startTestRelay({ baseUrl: demo.backend.baseUrl, upstream, credentials: { current, recover } });
  client = new CodexSocket(`${relay.url.replace("http", "ws")}/v1/responses`);
  await client.open();
  const first = await client.ask([user("one")]);
  demo.backend.expireAccessTokens();
  demo.backend.cutSockets();
  await eventually(() => demo.backend.openSockets() === 0);
  const second = await client.ask([user("two")], { previous_response_id: first.id });
  expect(second.types.at(-1)).toBe("response.completed");
  expect([renewals, texts(1)]).toEqual([1, ["one", "two"]]);
  expect(frames().map((frame) => frame?.["previous_response_id"])).toEqual([undefined, undefined]);
  expect(turns()[1]?.headers["x-openai-internal-codex-residency"]).toBe("eu");
  await relay.stop();
});

test("after a change to --transport http its socket goes on over HTTP, and the backend's is ended", async () => {
  await start("websocket");
  const first = await client.ask([user("one")]);
  const options = { lite: { default: "auto", models: {} }, firstByteTimeoutMs: 10_000, idleTimeoutMs: 10_000 } as const;
  demo.relay.upstream.reconfigure({ ...options, models: undefined, transport: "http" });
  await client.ask([user("two")], { previous_response_id: first.id });
  expect(frames().map((frame) => frame !== undefined)).toEqual([true, false]);
  expect(texts(1)).toEqual(["one", "two"]);
  await eventually(() => demo.backend.openSockets() === 0);
});
