/**
 * The backend of the benchmark, in a process of its own: the stand-in's words, made once for each wish and then played
 * from memory, so that making them takes nothing from what is measured. A wish stands in the last message, as in
 * `bench:text:500@20`: 500 deltas of text, one every 20 ms. Prints where it listens, as one line of JSON.
 */
import { limitHeaders } from "../../src/demo/account.ts";
import { CATALOGUE_ETAG } from "../../src/demo/catalogue.ts";
import type { Output } from "../../src/demo/output.ts";
import { replyEvents } from "../../src/demo/reply.ts";
import { sseText } from "../../src/lib/sse.ts";
import { decodeBody } from "../stand-in/body.ts";
import { modelsFor } from "../stand-in/versions.ts";

/** What the stand-in writes at a time, too. In characters. */
const CHUNK = 16_384;
const NOW_MS = Date.parse("2026-01-01T00:00:00Z");

interface Wish {
  readonly kind: string;
  readonly count: number;
  /** Between deltas; 0 sends as fast as it is read. */
  readonly paceMs: number;
}

/** A reply as text, cut into frames and into chunks of frames. */
interface Play {
  readonly frames: readonly string[];
  readonly chunks: readonly Uint8Array[];
}

const plays = new Map<string, Play>();
/** Ports of the clients so far: as many as there were connections. */
const ports = new Set<number>();
let replies = 0;
let sentBytes = 0;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  async fetch(request, bun) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/stats") return Response.json({ replies, sentBytes, connections: ports.size });
    if (pathname.endsWith("/models")) {
      const reply = modelsFor(searchParams.get("client_version") ?? "0.0.0");
      return Response.json(reply, { headers: { etag: CATALOGUE_ETAG } });
    }
    if (!pathname.endsWith("/responses")) return Response.json({ detail: "Not Found" }, { status: 404 });
    ports.add(bun.requestIP(request)?.port ?? 0);
    const bytes = decodeBody(await request.bytes(), request.headers.get("content-encoding"));
    return reply(readWish(bytes));
  },
});
process.stdout.write(`${JSON.stringify({ baseUrl: `http://127.0.0.1:${server.port}/backend-api/codex` })}\n`);

/** Without reading the whole body: large ones are part of what is measured. */
function readWish(body: Uint8Array): Wish {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const at = bytes.lastIndexOf("bench:");
  const found = /^bench:([a-z]+):(\d+)(?:@(\d+))?/.exec(bytes.toString("latin1", Math.max(at, 0), at + 60));
  return { kind: found?.[1] ?? "text", count: Number(found?.[2] ?? 3), paceMs: Number(found?.[3] ?? 0) };
}

function reply(wish: Wish): Response {
  replies += 1;
  const key = `${wish.kind}:${wish.count}`;
  const play = plays.get(key) ?? render(wish);
  plays.set(key, play);
  return new Response(bodyOf(wish, play), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...limitHeaders("pro", NOW_MS),
      "x-request-id": `req_${replies}`,
      "openai-model": "gpt-5.5",
      "x-reasoning-included": "true",
    },
  });
}

function bodyOf(wish: Wish, play: Play): ReadableStream<Uint8Array> {
  if (wish.paceMs > 0) return pacedBody(play.frames, wish.paceMs);
  // Ids of short replies differ, as a relay may remember them; those of long ones stand in too many frames.
  const [only] = play.chunks;
  if (play.chunks.length === 1 && only) {
    const text = new TextDecoder().decode(only).replaceAll("standin", String(1_000_000 + replies));
    return chunkedBody([new TextEncoder().encode(text)], false);
  }
  return chunkedBody(play.chunks, wish.kind === "endless");
}

/** Chunks as fast as they are read; an endless body goes on with its second one. */
function chunkedBody(chunks: readonly Uint8Array[], isEndless: boolean): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks[next];
      if (!chunk) return controller.close();
      sentBytes += chunk.length;
      controller.enqueue(chunk);
      next = isEndless && next === chunks.length - 2 ? 1 : next + 1;
    },
  });
}

/** One frame at each moment that is due; whoever is late gets those that are due together. */
function pacedBody(frames: readonly string[], paceMs: number): ReadableStream<Uint8Array> {
  const begunMs = performance.now();
  const encoder = new TextEncoder();
  let next = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (next >= frames.length) return controller.close();
      const waitMs = begunMs + next * paceMs - performance.now();
      if (waitMs > 0) await Bun.sleep(waitMs);
      // Timers may fire a little early.
      const due = Math.max(next, Math.floor((performance.now() - begunMs) / paceMs)) + 1;
      controller.enqueue(encoder.encode(frames.slice(next, due).join("")));
      next = due;
    },
  });
}

function render({ kind, count }: Wish): Play {
  let ids = 0;
  const nextId = (prefix: string) => `${prefix}_standin${String((ids += 1)).padStart(6, "0")}`;
  const facts = { inputTokens: 100, cachedTokens: 0, createdAt: NOW_MS / 1000 };
  const body = { model: "gpt-5.5", store: false };
  const frames: string[] = [];
  for (const event of replyEvents({ body, outputs: outputsOf(kind, count), nextId, ...facts })) {
    // A text that has ended cannot go on for ever.
    if (kind === "endless" && event["type"] === "response.output_text.done") break;
    frames.push(sseText(String(event["type"]), JSON.stringify(event)));
  }
  return { frames, chunks: chunksOf(frames) };
}

function outputsOf(kind: string, count: number): Output[] {
  const words = Array.from({ length: count }, (_, n) => `word${String(n).padStart(6, "0")} `);
  const encrypted = `gAAAAAB${"stand-in".repeat(40)}`;
  if (kind === "reasoning") {
    return [
      { kind: "reasoning", encrypted, summary: words.join("") },
      { kind: "message", pieces: ["Done."] },
    ];
  }
  const thought: Output = { kind: "reasoning", encrypted };
  if (kind === "arguments") {
    return [
      thought,
      { kind: "function_call", name: "write_file", arguments: JSON.stringify({ text: words.join("") }) },
    ];
  }
  return [thought, { kind: "message", pieces: words }];
}

function chunksOf(frames: readonly string[]): Uint8Array[] {
  const encoder = new TextEncoder();
  const chunks: Uint8Array[] = [];
  let text = "";
  for (const frame of frames) {
    text += frame;
    if (text.length < CHUNK) continue;
    chunks.push(encoder.encode(text));
    text = "";
  }
  return text === "" ? chunks : [...chunks, encoder.encode(text)];
}
