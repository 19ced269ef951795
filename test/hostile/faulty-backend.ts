/**
 * A backend over HTTP and WebSocket that fails in every way a connection can, by a seed. Its answers say which question
 * they answer and what it took the conversation before to be, so that whoever asked can tell a lost, doubled or mistaken
 * answer from a true one.
 */
import type { ServerWebSocket } from "bun";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { sha256Hex } from "../../src/lib/hash.ts";
import { decodeBody } from "../stand-in/body.ts";

/** What may become of one answer. `late`: whole, and frames of it come again after its end. */
const FATES = ["whole", "cut", "closed", "silent", "late", "refused", "forgotten", "expired"] as const;
type Fate = (typeof FATES)[number];
/** What may become of one handshake. */
const DOORS = ["open", "426", "503", "401", "dead"] as const;
type Door = (typeof DOORS)[number];

const CLOSE_CODES = [1000, 1001, 1008, 1011, 1012, 1013, 4000];
const HOUR_MS = 60 * 60_000;

export interface FaultyBackendOptions {
  readonly random: () => number;
  readonly now: () => number;
  /** How many of a hundred answers fail. */
  readonly answerPercent: number;
  /** The same of handshakes: each such failure keeps sockets closed for minutes. */
  readonly handshakePercent: number;
}

/** One side of a conversation, as both ends understand it. */
export interface Said {
  readonly role: string;
  readonly text: string;
}

interface Line {
  readonly token: string;
  readonly openedAtMs: number;
  lastId: string | undefined;
  items: JsonObject[];
}

/** The only right answer to a conversation, whose last message is the question. */
export function rightAnswer(said: readonly Said[]): string {
  const question = said.at(-1)?.text ?? "";
  return `To ${question} after ${said.length - 1}: ${sha256Hex(JSON.stringify(said.map(({ role, text }) => [role, text])))}`;
}

export class FaultyBackend {
  /** What has happened, by name. */
  readonly counts = new Map<Fate | Door | "continued", number>();
  /** Of sockets and requests under a login that was over before. */
  strangers = 0;
  openSockets = 0;
  mostSockets = 0;
  /** The only bearer that is let in. */
  token = "token-0";
  isCalm = false;
  readonly #options: FaultyBackendOptions;
  readonly #server: Bun.Server<Line>;
  #ids = 0;

  constructor(options: FaultyBackendOptions) {
    this.#options = options;
    this.#server = Bun.serve<Line>({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request, bun) => this.#serve(request, bun),
      websocket: {
        perMessageDeflate: true,
        open: () => void (this.mostSockets = Math.max(this.mostSockets, (this.openSockets += 1))),
        close: () => void (this.openSockets -= 1),
        message: (socket, text) => this.#receive(socket, String(text)),
      },
    });
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.#server.port}/backend-api/codex`;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  async #serve(request: Request, bun: Bun.Server<Line>): Promise<Response | undefined> {
    const { pathname } = new URL(request.url);
    const token = (request.headers.get("authorization") ?? "").replace("Bearer ", "");
    if (!pathname.endsWith("/responses")) return Response.json({ detail: "Not Found" }, { status: 404 });
    if (token !== this.token) return Response.json({ detail: "Unauthorized" }, { status: 401 });
    if (request.headers.get("upgrade") === "websocket") {
      const door = this.#pick(DOORS, this.#options.handshakePercent);
      if (door === "dead") return new Response("", { status: 500, headers: { connection: "close" } });
      if (door !== "open") return Response.json({ detail: door }, { status: Number(door) });
      const data: Line = { token, openedAtMs: this.#options.now(), lastId: undefined, items: [] };
      return bun.upgrade(request, { data }) ? undefined : new Response("no socket", { status: 400 });
    }
    const text = new TextDecoder().decode(decodeBody(await request.bytes(), request.headers.get("content-encoding")));
    return this.#overHttp(inputOf(JSON.parse(text)));
  }

  #overHttp(items: readonly JsonObject[]): Response {
    const fate = this.#pick(FATES, this.#options.answerPercent);
    const { events } = this.#answer(items);
    const frames = events.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`);
    const headers = { "content-type": "text/event-stream" };
    if (fate === "refused") return Response.json({ error: { code: "server_error", message: "No." } }, { status: 500 });
    if (fate !== "cut" && fate !== "closed" && fate !== "silent") return new Response(frames.join(""), { headers });
    const sent = frames.slice(0, this.#below(frames.length)).join("");
    return new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(`: hello\n\n${sent}`));
          if (fate !== "silent") controller.close();
        },
      }),
      { headers },
    );
  }

  #receive(socket: ServerWebSocket<Line>, text: string): void {
    const frame: unknown = JSON.parse(text);
    const { data } = socket;
    const send = (event: JsonObject) => void socket.send(JSON.stringify(event));
    const refuse = (code: string, status = 400) => send({ type: "error", status, error: { code, message: code } });
    const previous = isObject(frame) ? frame["previous_response_id"] : undefined;
    if (data.token !== this.token) this.strangers += 1;
    const fate = this.#pick(FATES, this.#options.answerPercent);
    const isOld = this.#options.now() - data.openedAtMs > HOUR_MS;
    if (isOld || fate === "expired") return refuse("websocket_connection_limit_reached");
    if (fate === "refused") return refuse("server_error", 500);
    if (previous !== undefined && (previous !== data.lastId || fate === "forgotten"))
      return refuse("previous_response_not_found");
    if (previous !== undefined) this.#count("continued");
    const items = [...(previous === undefined ? [] : data.items), ...inputOf(frame)];
    const { id, events, item } = this.#answer(items);
    data.lastId = undefined;
    if (fate === "cut" || fate === "closed" || fate === "silent") {
      for (const event of events.slice(0, this.#below(events.length))) send(event);
      if (fate === "cut") socket.terminate();
      else if (fate === "closed") socket.close(CLOSE_CODES[this.#below(CLOSE_CODES.length)], "so it is");
      return;
    }
    for (const event of events) send(event);
    Object.assign(data, { lastId: id, items: [...items, item] });
    if (fate !== "late") return;
    const again = events.filter(({ type }) => type !== "response.created");
    for (const event of again) send(event);
    // In the middle of what comes next.
    setTimeout(() => again.forEach(send), 1);
  }

  #answer(items: readonly JsonObject[]): { id: string; events: JsonObject[]; item: JsonObject } {
    const id = `resp_${(this.#ids += 1)}`;
    const text = rightAnswer(saidIn(items));
    const item = {
      type: "message",
      id: `msg_${this.#ids}`,
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text, annotations: [] }],
    };
    const at = { item_id: item.id, output_index: 0, content_index: 0 };
    const pieces = text.match(/.{1,20}/gs) ?? [];
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    const events = [
      { type: "response.created", response: { id, status: "in_progress" } },
      { type: "response.output_item.added", output_index: 0, item: { ...item, status: "in_progress", content: [] } },
      { type: "response.content_part.added", ...at, part: { type: "output_text", text: "", annotations: [] } },
      ...pieces.map((delta) => ({ type: "response.output_text.delta", ...at, delta })),
      { type: "response.output_text.done", ...at, text },
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: { id, status: "completed", output: [], usage } },
    ];
    return { id, events: events.map((event, index) => ({ ...event, sequence_number: index })), item };
  }

  /** The first, which is no fault, or one of the others. */
  #pick<T extends Fate | Door>(all: readonly T[], percent: number): T {
    const isFault = !this.isCalm && this.#options.random() * 100 < percent;
    const picked = all[isFault ? 1 + this.#below(all.length - 1) : 0] as T;
    this.#count(picked);
    return picked;
  }

  #below(count: number): number {
    return Math.floor(this.#options.random() * count);
  }

  #count(what: Fate | Door | "continued"): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function inputOf(body: unknown): JsonObject[] {
  const input = isObject(body) ? body["input"] : undefined;
  return Array.isArray(input) ? input.filter(isObject) : [];
}

function saidIn(items: readonly JsonObject[]): Said[] {
  return items.flatMap(({ role, content }) => {
    if (role !== "user" && role !== "assistant") return [];
    const parts = Array.isArray(content) ? content.filter(isObject) : [];
    return [{ role, text: parts.map((part) => String(part["text"])).join("") }];
  });
}
