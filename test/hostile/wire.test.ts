import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { completed, created, delta, frames } from "../support/fake-codex.ts";
import { eventually, post, startTestRelay, type TestRelay } from "../support/relay.ts";
import { CLIENTS, type Client, type Understood } from "./dialects.ts";
import { randomOf } from "./mutate.ts";
import { HEAD, head, startRawBackend, type Exchange, type RawBackend, type Script } from "./raw-backend.ts";
import { Account } from "./report.ts";

/** `FAULT_RUNS=1000 FAULT_SEED=3 bun test hostile/wire` cuts at more places. */
const runs = Number(process.env["FAULT_RUNS"] ?? 30);
const seed = Number(process.env["FAULT_SEED"] ?? 1);

/** Longer than any machine needs, shorter than a hang. */
const HANG_MS = 60_000;
/** For replies that never go on: whoever does not wait for them is as good as whoever waits for minutes. */
const SHORT = { firstByteTimeoutMs: 400, idleTimeoutMs: 400 };
const LONG = { firstByteTimeoutMs: HANG_MS, idleTimeoutMs: HANG_MS };

const BEGINNING = "Hel";
const good = frames([created, delta(BEGINNING), delta("lo"), completed]);
const begun = frames([created, delta(BEGINNING)]);

let backend: RawBackend;
let patient: TestRelay;
let hasty: TestRelay;
let account: Account;

beforeAll(async () => {
  start();
  for (const client of CLIENTS) await ask(patient, client);
  await stop();
  // What Bun opens once and for all is open by now.
  account = new Account("faults on the wire", seed);
  start();
});
afterAll(async () => {
  await stop();
  await account.close();
});

function start(): void {
  backend = startRawBackend();
  backend.script = whole;
  patient = startTestRelay({ baseUrl: backend.baseUrl, upstream: LONG });
  hasty = startTestRelay({ baseUrl: backend.baseUrl, upstream: SHORT });
}

async function stop(): Promise<void> {
  await Promise.all([patient.stop(), hasty.stop()]);
  await backend.stop();
}

/** Marks of clients that wait for the rest of an answer, and what goes on once they have heard its beginning. */
const listeners = new Map<string, PromiseWithResolvers<void>>();

async function ask(relay: TestRelay, client: Client): Promise<Understood> {
  listeners.set(client.mark, Promise.withResolvers());
  const reply = await post(relay.url + client.path, client.body, client.headers, AbortSignal.timeout(HANG_MS));
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of reply.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes(BEGINNING)) listeners.get(client.mark)?.resolve();
  }
  return client.understand(reply.status, text);
}

/** Until the client has the beginning of the answer; clients of whole answers never tell. */
async function heard({ body }: Exchange): Promise<void> {
  const client = CLIENTS.find(({ mark }) => body.includes(mark));
  if (client?.isStreaming) await listeners.get(client.mark)?.promise;
}

async function released(relay: TestRelay): Promise<void> {
  await eventually(() => backend.held() === 0 && relay.activeRequests() === 0, HANG_MS);
}

/** Asks as every client at once, and looks that nothing stays behind and that the next answer is good. */
async function askAll(relay: TestRelay, script: Script, judge: (client: Client, told: Understood) => void) {
  backend.script = script;
  await Promise.all(CLIENTS.map(async (client) => judge(client, await ask(relay, client))));
  account.tried(CLIENTS.length);
  await released(relay);
  backend.script = whole;
  for (const client of CLIENTS.slice(0, 1)) expect(await ask(relay, client)).toMatchObject(FINE);
}

const FINE = { status: 200, end: "finished", text: "Hello" } as const;

function whole(exchange: Exchange): void {
  exchange.write(HEAD);
  exchange.chunk(good);
  exchange.end();
}

type Code = "upstream_unreachable" | "upstream_timeout" | "upstream_stream_truncated" | "upstream_error";

/** For the dialect that has no codes. */
const WORDS: Record<Code, RegExp> = {
  upstream_unreachable: /could not be reached/,
  upstream_timeout: /did not answer within|sent nothing for/,
  upstream_stream_truncated: /ended before the response was complete/,
  upstream_error: /^Upstream /,
};

const packed =
  (encoding: string, pack: (text: string) => Uint8Array, spoil: (bytes: Uint8Array) => Uint8Array): Script =>
  (exchange) => {
    const packing = `content-encoding: ${encoding}`;
    exchange.write(head("content-type: text/event-stream", "transfer-encoding: chunked", packing));
    exchange.chunk(spoil(pack(good)));
    exchange.end();
  };

const asItIs = (bytes: Uint8Array) => bytes;
const half = (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length / 2));
const spoiled = (bytes: Uint8Array) => bytes.map((byte, index) => (index > 10 && index % 7 === 0 ? byte ^ 0x55 : byte));

const PACKERS = { gzip: gzipSync, zstd: zstdCompressSync, br: brotliCompressSync, deflate: deflateSync };

/** What an exchange does one after another. */
type Steps = (exchange: Exchange) => unknown;

/** Replies that fail before they have said anything, by what clients are told of them. */
const EARLY: Record<Code, Readonly<Record<string, Steps>>> = {
  upstream_unreachable: {
    "a connection that is reset": (exchange) => exchange.reset(),
    "a connection that is closed": (exchange) => exchange.cut(),
    "half a status line": (exchange) => [exchange.write("HTTP/1.1 20"), exchange.cut()],
    "half a header": (exchange) => [exchange.write("HTTP/1.1 200 OK\r\ncontent-ty"), exchange.cut()],
    "no HTTP at all": (exchange) => [exchange.write("220 mail.example ESMTP\r\n\r\n"), exchange.cut()],
    "a header without end": (exchange) => [
      exchange.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(300_000)}`),
      exchange.cut(),
    ],
    "a continue and nothing more": (exchange) => [exchange.write("HTTP/1.1 100 Continue\r\n\r\n"), exchange.cut()],
  },
  upstream_timeout: {
    silence: () => {},
    "half a header, then silence": (exchange) => exchange.write("HTTP/1.1 200 OK\r\ncon"),
    "a continue, then silence": (exchange) => exchange.write("HTTP/1.1 100 Continue\r\n\r\n"),
    "a head, then silence": (exchange) => exchange.write(HEAD),
    "a preamble, then silence": (exchange) => [exchange.write(HEAD), exchange.chunk(frames([created]))],
  },
  upstream_stream_truncated: {
    "a head and the end": (exchange) => [exchange.write(HEAD), exchange.end()],
    "a head and a cut": (exchange) => [exchange.write(HEAD), exchange.cut()],
    "a preamble and the end": (exchange) => [exchange.write(HEAD), exchange.chunk(frames([created])), exchange.end()],
    "a preamble and a cut": (exchange) => [exchange.write(HEAD), exchange.chunk(frames([created])), exchange.cut()],
    "a length of nothing": (exchange) => exchange.answer(head("content-type: text/event-stream", "content-length: 0")),
    "a number of bytes that never come": (exchange) => [
      exchange.write(`${head("content-type: text/event-stream", "content-length: 99999")}${frames([created])}`),
      exchange.cut(),
    ],
    "a chunk of no length": (exchange) => [exchange.write(HEAD), exchange.write("zz\r\nxx\r\n")],
    "a web page that calls itself a stream": (exchange) => [
      exchange.write(HEAD),
      exchange.chunk("<!doctype html><title>data: Sign in</title>\n\n"),
      exchange.end(),
    ],
    "JSON that calls itself a stream": (exchange) => [
      exchange.write(HEAD),
      exchange.chunk('{"id":"resp_1","object":"response","status":"completed","output":[]}'),
      exchange.end(),
    ],
    "a body that is not packed as it says": packed("gzip", (text) => Buffer.from(text), asItIs),
    "an encoding that nobody knows": packed("rot13", gzipSync, asItIs),
    ...Object.fromEntries(
      Object.entries(PACKERS).flatMap(([encoding, pack]) => [
        [`half of a body packed as ${encoding}`, packed(encoding, pack, half)],
        [`a spoiled body packed as ${encoding}`, packed(encoding, pack, spoiled)],
      ]),
    ),
  },
  upstream_error: {
    "no content": (exchange) => exchange.answer("HTTP/1.1 204 No Content\r\n\r\n"),
    "a web page": (exchange) => [
      exchange.write(head("content-type: text/html; charset=utf-8", "transfer-encoding: chunked")),
      exchange.chunk("<!doctype html><title>Sign in to the network</title>"),
      exchange.end(),
    ],
    JSON: (exchange) => exchange.answer(`${head("content-type: application/json", "content-length: 2")}{}`),
    "a way to somewhere else": (exchange) =>
      exchange.answer(
        `HTTP/1.1 307 Temporary Redirect\r\nlocation: ${backend.baseUrl}/responses\r\ncontent-length: 0\r\n\r\n`,
      ),
  },
};

describe.each(Object.entries(EARLY))("%s", (code, faults) => {
  test.each(Object.entries(faults))(
    "%s",
    async (_name, script) => {
      const relay = code === "upstream_timeout" ? hasty : patient;
      await askAll(
        relay,
        async (exchange) => void (await script(exchange)),
        (client, told) => {
          // Codex clients look into a stream themselves.
          if (client.knowsCuts && told.status === 200) return expect(told.end).not.toBe("finished");
          const status = code === "upstream_timeout" ? 504 : 502;
          return expectFailure(client, told, code as Code, status, "");
        },
      );
    },
    2 * HANG_MS,
  );
});

/** Replies that fail once the client has heard something. */
const LATE: Readonly<Record<string, Steps>> = {
  "the end": (exchange) => exchange.end(),
  "a cut": (exchange) => exchange.cut(),
  "a reset": (exchange) => exchange.reset(),
  "half an event, then a cut": (exchange) => [exchange.chunk("data: {"), exchange.cut()],
  "a chunk of no length": (exchange) => exchange.write("zz\r\n"),
  "half a chunk": (exchange) => [exchange.write("ff\r\ndata"), exchange.cut()],
  "half a character, then the end": (exchange) => {
    const bytes = Buffer.from(frames([delta("é")]));
    exchange.chunk(bytes.subarray(0, bytes.indexOf(0xc3) + 1));
    exchange.end();
  },
  "a web page": (exchange) => [exchange.chunk("<html>502 Bad Gateway</html>\n\n"), exchange.end()],
  "JSON that is broken": (exchange) => [exchange.chunk('data: {"type":"response.comp\n\n'), exchange.end()],
  "its end in a reply that nobody asked for": (exchange) => [
    exchange.end(),
    exchange.write(`${head("content-type: text/event-stream", "content-length: 200")}${frames([completed])}`),
  ],
};

const goesOn =
  (more: Steps): Script =>
  async (exchange) => {
    exchange.write(HEAD);
    exchange.chunk(begun);
    await heard(exchange);
    await more(exchange);
  };

describe("after output", () => {
  test.each(Object.entries(LATE))(
    "%s",
    async (_name, more) => {
      await askAll(patient, goesOn(more), (client, told) => {
        if (client.knowsCuts) return expect(told.end).not.toBe("finished");
        const [status, text] = client.isStreaming ? [200, BEGINNING] : [502, ""];
        return expectFailure(client, told, "upstream_stream_truncated", status, text);
      });
    },
    2 * HANG_MS,
  );

  test(
    "silence",
    async () => {
      const script = goesOn(() => {});
      await askAll(hasty, script, (client, told) => {
        const [status, text] = client.isStreaming ? [200, BEGINNING] : [504, ""];
        expectFailure(client, told, "upstream_timeout", status, text);
      });
    },
    2 * HANG_MS,
  );
});

function expectFailure(client: Client, told: Understood, code: Code, status: number, text: string): void {
  const shown = { ...told, client: client.name, hasWords: WORDS[code].test(told.message) };
  const expected = { client: client.name, status, end: "failed", text, hasWords: true } as const;
  expect(shown).toMatchObject({ ...expected, ...(told.code === "" ? {} : { code }) });
}

/** Odd, but no fault: clients must not notice. */
const ODD: Readonly<Record<string, Steps>> = {
  "a continue before the answer": (exchange) => [exchange.write("HTTP/1.1 100 Continue\r\n\r\n"), whole(exchange)],
  "early hints before the answer": (exchange) => [
    exchange.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"),
    whole(exchange),
  ],
  "an answer that ends with its connection": (exchange) => [
    exchange.write(`HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${good}`),
    exchange.cut(),
  ],
  "an answer of known length": (exchange) =>
    exchange.answer(`${head("content-type: text/event-stream", `content-length: ${good.length}`)}${good}`),
  "chunks of one byte": (exchange) => [
    exchange.write(HEAD),
    ...Array.from(good, (character) => exchange.chunk(character)),
    exchange.end(),
  ],
  "an answer said twice": (exchange) => [
    exchange.write(HEAD),
    exchange.chunk(good),
    exchange.chunk(good),
    exchange.end(),
  ],
  "a failure after the end": (exchange) => [
    exchange.write(HEAD),
    exchange.chunk(good),
    exchange.chunk(frames([{ type: "error", message: "late" }])),
    exchange.end(),
  ],
  "an end without its blank line": (exchange) => [exchange.write(HEAD), exchange.chunk(good.trimEnd()), exchange.end()],
  ...Object.fromEntries(
    Object.entries(PACKERS).map(([encoding, pack]) => [`packed as ${encoding}`, packed(encoding, pack, asItIs)]),
  ),
};

describe("odd but good", () => {
  test.each(Object.entries(ODD))(
    "%s",
    async (_name, steps) => {
      await askAll(
        patient,
        async (exchange) => void (await steps(exchange)),
        (client, told) => expect({ client: client.name, ...told }).toMatchObject({ client: client.name, ...FINE }),
      );
    },
    2 * HANG_MS,
  );
});

/** The whole reply as it goes over the wire, to be cut anywhere. */
const wire = Buffer.from(
  `${HEAD}${[created, delta(BEGINNING), delta("lo"), completed]
    .map((event) => frames([event]))
    .map((text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
    .join("")}0\r\n\r\n`,
);
/** Where the last event is complete but for the blank line that nobody needs. */
const lastEventEnds = wire.lastIndexOf("\n\n");

test(
  `cut or reset at any byte it is an answer only when all of it came (seed ${seed})`,
  async () => {
    const random = randomOf(seed);
    for (let run = 0; run < runs; run += 1) {
      const at = Math.floor(random() * wire.length);
      const isReset = random() < 0.4;
      const isTorn = random() < 0.5;
      const script: Script = async (exchange) => {
        const to = Math.floor(at / 2);
        if (isTorn) exchange.write(wire.subarray(0, to));
        if (isTorn) await Bun.sleep(1);
        exchange.write(wire.subarray(isTorn ? to : 0, at));
        if (isReset) exchange.reset();
        else exchange.cut();
      };
      await askAll(patient, script, (client, told) => {
        const shown = { client: client.name, at, isReset, isTorn, ...told };
        if (told.end !== "finished") {
          // A reset may overtake what was sent before it; nothing is made up.
          expect(shown).toMatchObject({ end: client.knowsCuts ? told.end : "failed" });
          expect("Hello".startsWith(told.text)).toBe(true);
        } else {
          expect({ ...shown, isWhole: at >= lastEventEnds }).toMatchObject({ ...FINE, isWhole: true });
        }
      });
    }
  },
  10 * HANG_MS,
);
