import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { RawClient } from "./raw-client.ts";
import { RawSocket, type SocketEnd } from "./raw-socket.ts";
import { report } from "./report.ts";
import { becomesTrue, Rig } from "./rig.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 180_000;
/** What the memory budget of 640 MiB, three bodies of the largest size in translation, is allowed to take in the process. */
const MOST_MB = 1500;
/** Bound of the loop's longest stop on any machine; what a quiet one needs is in the report. */
const LONGEST_STOP_MS = 3000;

let rig: Rig;
beforeEach(async () => {
  // Bun takes this variable apart at spaces.
  const preload = `--preload ${join(import.meta.dir, "loop-watch.ts").replaceAll(" ", String.raw`\ `)}`;
  rig = await Rig.start([], () => ({ BUN_OPTIONS: preload }));
});
afterEach(() => rig.stop());

async function longestStopMs(): Promise<number> {
  const from = rig.said.length;
  const said = () => /event loop: (\{.*\})\n/.exec(rig.said.slice(from))?.[1];
  rig.signal("SIGUSR2");
  await becomesTrue(async () => said() !== undefined, "the relay says how its event loop fares");
  return (JSON.parse(said() ?? "") as { longestMs: number }).longestMs;
}

/** Runs an attack; how much memory grew meanwhile, in MB. Fails when it took too much, or held up everybody else. */
async function attack<T>(what: string, cases: number, run: () => Promise<T>, mostMb = MOST_MB): Promise<T> {
  const before = rig.holding().rssMb;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, rig.holding().rssMb)), 20);
  await longestStopMs();
  try {
    return await run();
  } finally {
    clearInterval(timer);
    const stopMs = await longestStopMs();
    const line = `+${peak - before} MB, event loop stood still for ${stopMs} ms at most`;
    report("budget", what, cases, line);
    expect(peak - before).toBeLessThan(mostMb);
    expect(stopMs).toBeLessThan(LONGEST_STOP_MS);
    // Whoever comes now is served.
    expect((await ask({ input: "deltas:3 hello" })).status).toBe(200);
  }
}

const url = (path: string) => `http://127.0.0.1:${rig.port}${path}`;

async function ask(body: object): Promise<{ status: number; id: string }> {
  const reply = await fetch(url("/v1/responses"), {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5.5", ...body }),
  });
  return { status: reply.status, id: ((await reply.json()) as { id: string }).id };
}

const code = (bytes: number) => "const answer = compute(40, 2); ".repeat(Math.floor(bytes / 31));
const frameOf = (body: object) => Buffer.from(JSON.stringify({ type: "response.create", model: "gpt-5.5", ...body }));

/** The bodies of every route that takes one, around a long text. */
const ROUTES: Readonly<Record<string, (text: string) => object>> = {
  "/v1/chat/completions": (content) => ({ messages: [{ role: "user", content }] }),
  "/v1/completions": (prompt) => ({ prompt }),
  "/v1/responses": (input) => ({ input }),
  "/v1/responses/compact": (input) => ({ input }),
  "/v1/messages": (content) => ({ max_tokens: 100_000_000, messages: [{ role: "user", content }] }),
  "/api/chat": (content) => ({ messages: [{ role: "user", content }] }),
  "/api/generate": (prompt) => ({ prompt }),
  "/api/show": (text) => ({ text }),
  "/v1/images/generations": (prompt) => ({ prompt }),
  "/v1/alpha/search": (query) => ({ query }),
};

const fast = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const CODINGS: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
  gzip: gzipSync,
  br: (bytes) => brotliCompressSync(bytes, fast),
  zstd: zstdCompressSync,
  deflate: deflateSync,
};

function tally(statuses: readonly number[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(statuses, String)].map(([status, all]) => [status, all.length]));
}

/** Every refusal says when to come again. */
function expectTurnedAway(clients: readonly RawClient[]): void {
  for (const client of clients.filter(({ status }) => status === 503 || status === 529)) {
    expect(client.header("retry-after")).toBe("1");
    expect(JSON.parse(client.body().text)).toHaveProperty("error");
  }
}

describe("packed bodies that unpack to 62 MiB", () => {
  const codings = Object.keys(CODINGS);
  const everyRoute = Object.keys(ROUTES).map((path, index) => [codings[index % codings.length] ?? "", path] as const);
  const everyCoding = codings.map((coding) => [coding, "/v1/chat/completions"] as const);

  test.each([...everyRoute, ...everyCoding])(
    "forty at once as %s on %s are counted while they unpack",
    async (coding, path) => {
      const text = JSON.stringify({ model: "gpt-5.5", ...ROUTES[path]?.(` ${" ".repeat(62 * MIB)}`) });
      const packed = CODINGS[coding]?.(Buffer.from(text)) ?? Buffer.alloc(0);
      const headers = [`Content-Encoding: ${coding}`];
      const clients = await attack(`40 bodies as ${coding} on ${path}`, 40, async () => {
        const all = Array.from({ length: 40 }, () => new RawClient(rig.port, path, packed, headers));
        await Promise.all(all.map((client) => client.closed));
        return all;
      });
      const { 503: busy = 0, 529: overloaded = 0, 0: torn = 0 } = tally(clients.map(({ status }) => status));
      expect(busy + overloaded).toBeGreaterThan(20);
      expect(torn).toBe(0);
      expectTurnedAway(clients);
    },
    LIMIT_MS,
  );
});

describe("sockets", () => {
  const forCodex = {
    instructions: "You help.",
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text: `deltas:3 ${code(30 * MIB)}` }] }],
    include: ["reasoning.encrypted_content"],
    store: false,
    stream: true,
  };
  test.each<[string, string[], object]>([
    ["clients of the public API", [], { input: `deltas:3 ${code(30 * MIB)}` }],
    ["Codex clients", ["originator: codex_cli_rs"], forCodex],
  ])(
    "24 %s with a frame of 30 MiB each take no more than 300 MB; the rest are told to come again",
    async (who, headers, body) => {
      const run = async () => socketsWith(24, frameOf(body), headers);
      const ends = await attack(`24 ${who} with a frame of 30 MiB`, 24, run, 400);
      expect(ends.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...Array(23).fill(503)]);
    },
    LIMIT_MS,
  );

  test("no compression is agreed on: a frame of 61 KB would unpack before anybody counts it", async () => {
    const reply = await handshake("Sec-WebSocket-Extensions: permessage-deflate");
    expect(reply).toStartWith("HTTP/1.1 101");
    expect(reply).not.toMatch(/sec-websocket-extensions/i);
  });

  test(
    "24 of them beside forty packed bodies share one budget",
    async () => {
      const frame = frameOf({ input: `deltas:3 ${code(30 * MIB)}` });
      const packed = gzipSync(JSON.stringify({ model: "gpt-5.5", input: ` ${" ".repeat(62 * MIB)}` }));
      const ends = await attack("24 sockets beside 40 packed bodies", 64, async () => {
        const clients = Array.from(
          { length: 40 },
          () => new RawClient(rig.port, "/v1/responses", packed, ["Content-Encoding: gzip"]),
        );
        const told = await socketsWith(24, frame);
        await Promise.all(clients.map((client) => client.closed));
        expectTurnedAway(clients);
        return told;
      });
      for (const { status } of ends) expect([200, 503]).toContain(status);
    },
    LIMIT_MS,
  );

  test("count with requests, also while they are idle", async () => {
    await rig.stop();
    rig = await Rig.start(["--max-requests", "20"]);
    const idle = Array.from({ length: 20 }, () => new RawSocket(rig.port));
    await Promise.all(idle.map((socket) => socket.opened));
    expect(await new RawSocket(rig.port).ended).toMatchObject({ kind: "refused", status: 503 });
    for (const path of Object.keys(ROUTES)) {
      const client = new RawClient(rig.port, path, "{}");
      await client.closed;
      expect([503, 529]).toContain(client.status);
    }
    for (const socket of idle) socket.leave();
    await becomesTrue(async () => (await ask({ input: "deltas:3 hello" })).status === 200, "sockets are gone");
    report("budget", "idle sockets", 20);
  });
});

async function socketsWith(count: number, frame: Uint8Array, headers: readonly string[] = []): Promise<SocketEnd[]> {
  const sockets = Array.from({ length: count }, () => new RawSocket(rig.port, frame, headers));
  return Promise.all(sockets.map((socket) => socket.ended));
}

/** What the relay answers to a handshake with one more header. */
function handshake(header: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(rig.port, "127.0.0.1");
  const lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", header];
  const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
  socket.write(`${["GET /v1/responses HTTP/1.1", "Host: 127.0.0.1", ...lines, key].join("\r\n")}\r\n\r\n`);
  socket.once("data", (bytes: Buffer) => {
    resolve(bytes.toString("latin1"));
    socket.destroy();
  });
  return promise;
}

describe("references", () => {
  const references = (count: number, id = "msg_large") =>
    Array.from({ length: count }, () => ({ type: "item_reference", id }));
  const large = () => ({
    input: [{ type: "message", id: "msg_large", role: "user", content: `deltas:1 ${code(MIB)}` }],
  });

  test(
    "4,000 of them to one stored item of 1 MB are refused on every route and packed, before anything is copied",
    async () => {
      expect((await ask(large())).status).toBe(200);
      const body = { model: "gpt-5.5", input: references(4000) };
      const text = Buffer.from(JSON.stringify(body));
      const told = await attack(
        "4,000 references to an item of 1 MB",
        10,
        async () => {
          const paths = ["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"];
          const plain = paths.map((path) => new RawClient(rig.port, path, text));
          const packed = Object.entries(CODINGS).map(
            ([coding, pack]) => new RawClient(rig.port, "/v1/responses", pack(text), [`Content-Encoding: ${coding}`]),
          );
          const all = [...plain, ...packed];
          const end = await new RawSocket(rig.port, frameOf(body)).ended;
          await Promise.all(all.map((client) => client.closed));
          return [end.status, ...all.map(({ status }) => status)];
        },
        300,
      );
      expect(tally(told)).toEqual({ 413: 8 });
    },
    LIMIT_MS,
  );

  test(
    "233 KB of them into stored turns of 20,000 items are looked up, not searched for",
    async () => {
      const turnOf = (turn: number) => ({
        input: Array.from({ length: 20_000 }, (_, index) => ({
          type: "message",
          id: `m${turn}_${index}`,
          role: "user",
          content: `deltas:1 ${index}`,
        })),
      });
      for (const turn of [0, 1, 2]) expect((await ask(turnOf(turn))).status).toBe(200);
      const input = Array.from({ length: 5500 }, (_, index) => ({ type: "item_reference", id: `m0_${index * 3}` }));
      await attack("references into long turns", 3, async () => {
        for (const path of ["/v1/responses", "/v1/responses/input_tokens"]) {
          const client = new RawClient(rig.port, path, JSON.stringify({ model: "gpt-5.5", input }));
          await client.closed;
          expect(client.status).toBe(200);
        }
        expect((await new RawSocket(rig.port, frameOf({ input })).ended).kind).toBe("answered");
      });
    },
    LIMIT_MS,
  );
});

describe("a stored turn of 40 MB", () => {
  let id: string;
  beforeEach(async () => {
    ({ id } = await ask({ input: `deltas:1 ${code(40 * MIB)}` }));
  });

  test(
    "costs forty small requests that go on from it no more than the budget, over HTTP and sockets",
    async () => {
      const body = { model: "gpt-5.5", input: "x", previous_response_id: id };
      const text = JSON.stringify(body);
      const told = await attack("40 requests that go on from a turn of 40 MB", 60, async () => {
        const clients = Array.from({ length: 40 }, () => new RawClient(rig.port, "/v1/responses", text));
        const sockets = await socketsWith(20, frameOf(body));
        await Promise.all(clients.map((client) => client.closed));
        expectTurnedAway(clients);
        return [...clients.map(({ status }) => status), ...sockets.map(({ status }) => status)];
      });
      const { 200: answered = 0, 503: busy = 0 } = tally(told);
      expect([answered + busy, answered > 0, busy > 0]).toEqual([60, true, true]);
    },
    LIMIT_MS,
  );

  test(
    "is written as it is read: sixty readers that stop hold next to nothing of it",
    async () => {
      for (const path of [`/v1/responses/${id}/input_items`, `/v1/responses/${id}`]) {
        const begun = await attack(
          `60 unread replies of ${path.replace(id, "{id}")}`,
          60,
          async () => unread(path, 60),
          400,
        );
        expect(tally(begun)).toEqual({ 200: 60 });
      }
    },
    LIMIT_MS,
  );
});

/** Statuses of replies whose readers stop after the first bytes. */
async function unread(path: string, count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, () => connect(rig.port, "127.0.0.1"));
  const statuses = await Promise.all(
    sockets.map((socket) => {
      const { promise, resolve } = Promise.withResolvers<number>();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
      socket.once("data", (bytes: Buffer) => {
        socket.pause();
        resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(bytes.toString("latin1"))?.[1]));
      });
      return promise;
    }),
  );
  // A relay that wrote ahead would have written it all by now.
  await ask({ input: "deltas:3 hello" });
  await ask({ input: "deltas:3 hello" });
  for (const socket of sockets) socket.destroy();
  return statuses;
}

test(
  "an answer without end is given up, on every route that collects it",
  async () => {
    await rig.behave({ repeats: 100_000_000 });
    const before = rig.holding().rssMb;
    for (const path of [
      "/v1/chat/completions",
      "/v1/completions",
      "/v1/responses",
      "/v1/messages",
      "/api/chat",
      "/api/generate",
    ]) {
      const body = { model: "gpt-5.5", stream: false, ...ROUTES[path]?.("deltas:40") };
      const client = new RawClient(rig.port, path, JSON.stringify(body));
      await client.closed;
      expect([path, client.status]).toEqual([path, 502]);
      expect(client.body().text).toContain("is longer than 128 MiB");
    }
    const streamed = new RawClient(
      rig.port,
      "/v1/responses",
      JSON.stringify({ model: "gpt-5.5", input: "deltas:40", stream: true }),
    );
    await streamed.closed;
    expect(streamed.raw.slice(-2000)).toContain("is longer than 128 MiB");
    expect(await new RawSocket(rig.port, frameOf({ input: "deltas:40" })).ended).toMatchObject({ kind: "error" });
    const grown = rig.holding().rssMb - before;
    expect(grown).toBeLessThan(MOST_MB);
    report("budget", "endless answers", 8, `+${grown} MB`);
  },
  LIMIT_MS,
);
