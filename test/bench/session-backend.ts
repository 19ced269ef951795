/**
 * A backend for sessions of an agent: each request is answered with one tool call until `turns` of them were made, over
 * HTTP and over a WebSocket, where only a request that goes on from the last answer may leave its beginning out. The
 * model takes `modelMs` for each. In the benchmark's own process, as nobody's CPU is measured here.
 */
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { decodeBody } from "../stand-in/body.ts";

export interface SessionBackend {
  readonly port: number;
  /** Time spent as the model so far. */
  modelMs(): number;
  /** What HTTP has brought, oldest first. */
  readonly bodies: readonly unknown[];
  /** How many requests came over HTTP as they are, over HTTP packed, and over a WebSocket. */
  readonly ways: Readonly<Record<"plain" | "packed" | "socket", number>>;
  stop(): void;
}

/** With `keepsBodies` it keeps what it is asked; with a certificate it speaks TLS. */
export function startSessionBackend(
  modelMs: number,
  { keepsBodies = false, tls }: { readonly keepsBodies?: boolean; readonly tls?: Bun.TLSOptions } = {},
): SessionBackend {
  const bodies: unknown[] = [];
  const ways = { plain: 0, packed: 0, socket: 0 };
  let spentMs = 0;
  let count = 0;
  const answer = async (conversation: readonly unknown[]): Promise<JsonObject[]> => {
    await Bun.sleep(modelMs);
    spentMs += modelMs;
    count += 1;
    return eventsOf(count, conversation);
  };
  const server = Bun.serve<{ lastId: string | undefined; items: unknown[] }>({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    ...(tls ? { tls } : {}),
    async fetch(request, bun) {
      const { pathname } = new URL(request.url);
      if (pathname.endsWith("/models")) return Response.json({ models: [MODEL] });
      if (!pathname.endsWith("/responses")) return Response.json({ detail: "Not Found" }, { status: 404 });
      if (request.headers.get("upgrade") === "websocket") {
        const isUp = bun.upgrade(request, { data: { lastId: undefined, items: [] } });
        return isUp ? undefined : new Response("no socket", { status: 400 });
      }
      const encoding = request.headers.get("content-encoding");
      ways[encoding === null ? "plain" : "packed"] += 1;
      const text = new TextDecoder().decode(decodeBody(await request.bytes(), encoding));
      const body: unknown = JSON.parse(text);
      if (keepsBodies) bodies.push(body);
      const events = await answer(inputOf(body));
      const frames = events.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`);
      return new Response(frames.join(""), { headers: { "content-type": "text/event-stream" } });
    },
    websocket: {
      perMessageDeflate: true,
      maxPayloadLength: 256 * 1024 * 1024,
      async message(socket, text) {
        const frame: unknown = JSON.parse(String(text));
        const { data } = socket;
        ways.socket += 1;
        const previous = isObject(frame) ? frame["previous_response_id"] : undefined;
        if (previous !== undefined && previous !== data.lastId) {
          socket.send(JSON.stringify({ type: "error", status: 400, error: { code: "previous_response_not_found" } }));
          return;
        }
        data.items = [...(previous === undefined ? [] : data.items), ...inputOf(frame)];
        const events = await answer(data.items);
        for (const event of events) socket.send(JSON.stringify(event));
        const last = events.at(-1)?.["response"];
        data.lastId = isObject(last) ? String(last["id"]) : undefined;
        data.items.push(...events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item));
      },
    },
  });
  return { port: server.port ?? 0, modelMs: () => spentMs, bodies, ways, stop: () => void server.stop(true) };
}

const MODEL = {
  slug: "gpt-5.5",
  visibility: "list",
  supported_reasoning_levels: ["low", "medium", "high"].map((effort) => ({ effort })),
};

function inputOf(body: unknown): unknown[] {
  const input = isObject(body) ? body["input"] : undefined;
  return Array.isArray(input) ? input : [];
}

/** Reasoning and one call, as an agent's turns are. */
function eventsOf(count: number, conversation: readonly unknown[]): JsonObject[] {
  const id = `resp_${count}`;
  const reasoning = {
    type: "reasoning",
    id: `rs_${count}`,
    summary: [],
    encrypted_content: `gAAAA${"x".repeat(400)}${count}`,
  };
  const call = {
    type: "function_call",
    id: `fc_${count}`,
    status: "completed",
    call_id: `call_${count}`,
    name: "read_file",
    arguments: JSON.stringify({ path: `src/file-${count}.ts` }),
  };
  const usage = {
    input_tokens: conversation.length * 100,
    output_tokens: 50,
    total_tokens: conversation.length * 100 + 50,
  };
  return [
    { type: "response.created", response: { id, status: "in_progress" } },
    { type: "response.output_item.done", output_index: 0, item: reasoning },
    { type: "response.output_item.added", output_index: 1, item: { ...call, arguments: "", status: "in_progress" } },
    { type: "response.function_call_arguments.delta", output_index: 1, item_id: call.id, delta: call.arguments },
    { type: "response.output_item.done", output_index: 1, item: call },
    { type: "response.completed", response: { id, status: "completed", output: [], usage } },
  ].map((event, index) => ({ ...event, sequence_number: index }));
}
