import { z } from "zod";
import { eventually, fixedCredentials, startTestRelay } from "../support/relay.ts";

const MIB = 1024 * 1024;
const REQUESTS = 3;
const REQUEST_BYTES = 4 * MIB;

const EVENTS = [
  { type: "response.created", response: { id: "resp_1", status: "in_progress", output: [] } },
  { type: "response.output_item.added", output_index: 0, item: { id: "msg_1", type: "message", content: [] } },
  { type: "response.output_text.delta", item_id: "msg_1", output_index: 0, content_index: 0, delta: "Well" },
];

/** Requests that have come. */
let asked = 0;

/** Begins an answer over HTTP or a WebSocket, and thinks on for ever; keeps nothing of what it was asked. */
function startThinker() {
  return Bun.serve({
    port: 0,
    async fetch(request, server) {
      if (request.headers.has("upgrade")) return server.upgrade(request) ? undefined : new Response();
      if (!request.url.endsWith("/responses")) return new Response("", { status: 404 });
      await request.arrayBuffer();
      asked += 1;
      const text = EVENTS.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
      const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(text)) });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
    websocket: {
      maxPayloadLength: 16 * MIB,
      message(socket) {
        asked += 1;
        for (const event of EVENTS) socket.send(JSON.stringify(event));
      },
    },
  });
}

const Snapshot = z.object({
  nodes: z.array(z.number()),
  snapshot: z.object({ meta: z.object({ node_fields: z.array(z.string()) }) }),
});

/** How many texts of a request's size something leads to. */
function heldTexts(): number {
  Bun.gc(true);
  const { nodes, snapshot } = Snapshot.parse(JSON.parse(Bun.generateHeapSnapshot("v8")));
  const fields = snapshot.meta.node_fields;
  const sizeAt = fields.indexOf("self_size");
  return nodes.filter((field, at) => at % fields.length === sizeAt && field > REQUEST_BYTES / 2).length;
}

const said = (content: string) => ({ messages: [{ role: "user", content }] });
const DIALECTS: Readonly<Record<string, (text: string) => object>> = {
  "/v1/chat/completions": said,
  "/v1/messages": (text) => ({ max_tokens: 1000, ...said(text) }),
  "/v1/completions": (prompt) => ({ prompt }),
  "/api/chat": said,
  "/api/generate": (prompt) => ({ prompt }),
  // Else it is remembered, for requests that go on from it.
  "/v1/responses": (input) => ({ store: false, input }),
};

/** With a text that is no other's. */
function ask(url: string, path: string, index: number, stream: boolean): Promise<Response | void> {
  const text = `${index} `.padEnd(REQUEST_BYTES, "All work and no play. ");
  const body = JSON.stringify({ model: "gpt-5.5", stream, ...DIALECTS[path]?.(text) });
  return fetch(url + path, { method: "POST", body }).catch(() => {});
}

/** How many requests are still held while the model thinks about all of them: the least of what was seen. */
async function heldWhileThinking(path: string, transport: "http" | "websocket", isStream: boolean): Promise<number> {
  asked = 0;
  const backend = startThinker();
  const relay = startTestRelay({
    baseUrl: `http://127.0.0.1:${backend.port}/backend-api/codex`,
    credentials: fixedCredentials({ accessToken: "a.b.c", accountId: "an account", plan: "pro" }),
    upstream: { transport },
  });
  const replies = Array.from({ length: REQUESTS }, (_, index) => ask(relay.url, path, index, isStream));
  await eventually(() => relay.activeRequests() === REQUESTS && asked === REQUESTS, 10_000);
  let held = REQUESTS;
  await eventually(() => (held = Math.min(held, heldTexts())) === 0, 3000).catch(() => {});
  if (relay.activeRequests() !== REQUESTS) throw new Error("the requests are over");
  await backend.stop(true);
  await relay.stop();
  await Promise.all(replies);
  return held;
}

/** A process of its own: the heap of a test run is large, and full of texts. */
for (const path of Object.keys(DIALECTS)) {
  for (const transport of ["http", "websocket"] as const) {
    for (const isStream of [true, false]) {
      const held = await heldWhileThinking(path, transport, isStream);
      console.log(JSON.stringify({ path, transport, isStream, held }));
    }
  }
}
process.exit(0);
