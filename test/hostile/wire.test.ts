import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { completed, created, delta, frames } from "../support/fake-codex.ts";
import { eventually, startTestRelay, type TestRelay } from "../support/relay.ts";
import {
  ask,
  askAll,
  expectFailure,
  expectRecovery,
  FINE,
  GOOD,
  GOOD_EVENTS,
  goesOn,
  HANG_MS,
  HASTY,
  PATIENT,
  whole,
  type Code,
} from "./ask-all.ts";
import { CLIENTS, type Client, type Understood } from "./dialects.ts";
import { randomOf } from "./mutate.ts";
import { HEAD, head, startRawBackend, type Exchange, type RawBackend, type Script } from "./raw-backend.ts";
import { Account } from "./report.ts";

/** `FAULT_RUNS=1000 FAULT_SEED=3 bun test hostile/wire` cuts at more places. */
const runs = Number(process.env["FAULT_RUNS"] ?? 30);
const seed = Number(process.env["FAULT_SEED"] ?? 1);

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
  patient = startTestRelay({ baseUrl: backend.baseUrl, upstream: PATIENT });
  hasty = startTestRelay({ baseUrl: backend.baseUrl, upstream: HASTY });
}

async function stop(): Promise<void> {
  await Promise.all([patient.stop(), hasty.stop()]);
  await backend.stop();
}

async function strike(relay: TestRelay, script: Script, judge: (client: Client, told: Understood) => void) {
  backend.script = script;
  await askAll({ relay, backend, account }, judge);
  backend.script = whole;
  await expectRecovery(relay);
}

const packed =
  (encoding: string, pack: (text: string) => Uint8Array, spoil: (bytes: Uint8Array) => Uint8Array): Script =>
  (exchange) => {
    const packing = `content-encoding: ${encoding}`;
    exchange.write(head("content-type: text/event-stream", "transfer-encoding: chunked", packing));
    exchange.chunk(spoil(pack(GOOD)));
    exchange.end();
  };

const asItIs = (bytes: Uint8Array) => bytes;
const half = (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length / 2));
const spoiled = (bytes: Uint8Array) => bytes.map((byte, index) => (index > 10 && index % 7 === 0 ? byte ^ 0x55 : byte));

const PACKERS = { gzip: gzipSync, zstd: zstdCompressSync, br: brotliCompressSync, deflate: deflateSync };

/** What an exchange does one after another. */
type Steps = (exchange: Exchange) => unknown;

const perform =
  (steps: Steps): Script =>
  async (exchange) =>
    void (await steps(exchange));

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
      await strike(relay, perform(script), (client, told) => expectFailure(client, told, code as Code));
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

describe("after output", () => {
  test.each(Object.entries(LATE))(
    "%s",
    (_name, more) =>
      strike(patient, goesOn(more), (client, told) => expectFailure(client, told, "upstream_stream_truncated", true)),
    2 * HANG_MS,
  );

  test(
    "silence",
    () =>
      strike(
        hasty,
        goesOn(() => {}),
        (client, told) => expectFailure(client, told, "upstream_timeout", true),
      ),
    2 * HANG_MS,
  );
});

test(
  "an event that does not end is given up before it fills the memory",
  async () => {
    const mebibyte = Buffer.alloc(1024 * 1024, "x");
    backend.script = goesOn(async (exchange) => {
      exchange.chunk(`data: {"type":"response.output_text.delta","delta":"`);
      for (let sent = 0; sent < 80 && !exchange.socket.destroyed; sent += 1) {
        exchange.chunk(mebibyte);
        while (exchange.socket.writableLength > 0 && !exchange.socket.destroyed) await Bun.sleep(1);
      }
    });
    for (const client of CLIENTS) {
      const told = await ask(patient, client);
      account.tried();
      expect({ client: client.name, ...told }).toMatchObject({
        client: client.name,
        status: client.isStreaming ? 200 : 502,
        end: "failed",
        message: expect.stringContaining("too large to be real"),
      });
    }
    await eventually(() => backend.held() === 0, HANG_MS);
    backend.script = whole;
    await expectRecovery(patient);
  },
  10 * HANG_MS,
);

/** Odd, but no fault: clients must not notice. */
const ODD: Readonly<Record<string, Steps>> = {
  "a continue before the answer": (exchange) => [exchange.write("HTTP/1.1 100 Continue\r\n\r\n"), whole(exchange)],
  "early hints before the answer": (exchange) => [
    exchange.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"),
    whole(exchange),
  ],
  "an answer that ends with its connection": (exchange) => [
    exchange.write(`HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${GOOD}`),
    exchange.cut(),
  ],
  "an answer of known length": (exchange) =>
    exchange.answer(`${head("content-type: text/event-stream", `content-length: ${GOOD.length}`)}${GOOD}`),
  "chunks of one byte": (exchange) => [
    exchange.write(HEAD),
    ...Array.from(GOOD, (character) => exchange.chunk(character)),
    exchange.end(),
  ],
  "an answer said twice": (exchange) => [
    exchange.write(HEAD),
    exchange.chunk(GOOD),
    exchange.chunk(GOOD),
    exchange.end(),
  ],
  "a failure after the end": (exchange) => [
    exchange.write(HEAD),
    exchange.chunk(GOOD),
    exchange.chunk(frames([{ type: "error", message: "late" }])),
    exchange.end(),
  ],
  "an end without its blank line": (exchange) => [exchange.write(HEAD), exchange.chunk(GOOD.trimEnd()), exchange.end()],
  ...Object.fromEntries(
    Object.entries(PACKERS).map(([encoding, pack]) => [`packed as ${encoding}`, packed(encoding, pack, asItIs)]),
  ),
};

describe("odd but good", () => {
  test.each(Object.entries(ODD))(
    "%s",
    (_name, steps) =>
      strike(patient, perform(steps), (client, told) =>
        expect({ client: client.name, ...told }).toMatchObject({ client: client.name, ...FINE }),
      ),
    2 * HANG_MS,
  );
});

/** The whole reply as it goes over the wire, to be cut anywhere. */
const wire = Buffer.from(
  `${HEAD}${GOOD_EVENTS.map((event) => frames([event]))
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
      await strike(patient, script, (client, told) => {
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
