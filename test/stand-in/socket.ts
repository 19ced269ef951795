import type { ServerWebSocket } from "bun";
import { createParser } from "eventsource-parser";
import { isObject, parseJson, type JsonObject } from "../../src/lib/json.ts";

/** Puts one request of a socket to the rules and scripts that hold over HTTP. */
type Answer = (request: Request, body: JsonObject, frame: JsonObject) => Promise<Response>;

export interface SocketOptions {
  readonly answer: Answer;
  /** Of the handshake. */
  readonly request: Request;
  readonly maxAgeMs: number;
  readonly now: () => number;
}

/** What Bun's `send` returns when the frame waits for a slow reader. */
const BACK_PRESSURE = -1;

/** Headers of one request that its frame carries in place of HTTP's. */
const FRAME_HEADER = /^ws_request_header_([\w-]+)$/;

/**
 * One socket of the backend: `response.create` frames in, events out, one response at a time. It remembers its newest
 * response alone, only on this connection, and forgets it with an error, as the public guide has it.
 */
export class StandInSocket {
  readonly #options: SocketOptions;
  readonly #openedAtMs: number;
  /** The conversation up to the newest response, and that one's id. */
  #last: { readonly id: string; readonly items: readonly unknown[] } | undefined;
  #isBusy = false;
  /** Set while the client's side takes no more. */
  #isFull: PromiseWithResolvers<void> | undefined;
  readonly #left = new AbortController();

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#openedAtMs = options.now();
  }

  /** The client is gone. */
  leave(): void {
    this.#left.abort();
    this.drain();
  }

  /** The client takes more again. */
  drain(): void {
    this.#isFull?.resolve();
    this.#isFull = undefined;
  }

  /** As if another machine had taken over. */
  forget(): void {
    this.#last = undefined;
  }

  async receive(socket: ServerWebSocket<StandInSocket>, text: string): Promise<void> {
    const frame = parseJson(text);
    if (!isObject(frame) || frame["type"] !== "response.create") {
      return sendError(socket, 400, { code: "invalid_request_error", message: "Expected a response.create frame." });
    }
    if (this.#isBusy) {
      return sendError(socket, 400, { code: "response_in_progress", message: "A response is in progress." });
    }
    if (this.#options.now() - this.#openedAtMs > this.#options.maxAgeMs) {
      return sendError(socket, 400, {
        code: "websocket_connection_limit_reached",
        message: "This connection is too old.",
      });
    }
    const { type: _type, previous_response_id: previous, generate, ...fields } = frame;
    if (previous !== undefined && previous !== this.#last?.id) {
      return sendError(socket, 400, {
        code: "previous_response_not_found",
        message: `Previous response with id ${JSON.stringify(previous)} not found.`,
      });
    }
    const added = Array.isArray(fields["input"]) ? (fields["input"] as unknown[]) : [];
    const items = previous === undefined ? added : [...(this.#last?.items ?? []), ...added];
    this.#last = undefined;
    this.#isBusy = true;
    try {
      if (generate === false) await this.#warmUp(socket, items);
      else await this.#respond(socket, { ...fields, input: items }, frame);
    } finally {
      this.#isBusy = false;
    }
  }

  /** A prefix that is sent ahead: known afterwards, answered by nothing. */
  async #warmUp(socket: ServerWebSocket<StandInSocket>, items: readonly unknown[]): Promise<void> {
    const id = `resp_warm${crypto.randomUUID().slice(0, 8)}`;
    socket.send(JSON.stringify({ type: "response.created", response: { id, status: "in_progress" } }));
    socket.send(JSON.stringify({ type: "response.completed", response: { id, status: "completed", output: [] } }));
    this.#last = { id, items };
    return Promise.resolve();
  }

  async #respond(socket: ServerWebSocket<StandInSocket>, body: JsonObject, frame: JsonObject): Promise<void> {
    const response = await this.#options.answer(this.#requestOf(body), body, frame);
    if (!response.ok || !response.body) {
      const refusal = parseJson(await response.text());
      const error = isObject(refusal) ? (refusal["error"] ?? refusal) : refusal;
      const headers = Object.fromEntries([...response.headers].filter(([name]) => /^(x-|retry-after)/.test(name)));
      return void socket.send(JSON.stringify({ type: "error", status: response.status, error, headers }));
    }
    sendLimits(socket, response.headers);
    const output: unknown[] = [];
    let end: JsonObject | undefined;
    const parser = createParser({
      onEvent: ({ data }) => {
        const event = parseJson(data);
        if (socket.send(data) === BACK_PRESSURE) this.#isFull ??= Promise.withResolvers();
        if (!isObject(event)) return;
        if (event["type"] === "response.output_item.done") output.push(event["item"]);
        if (/^(response\.(completed|done|incomplete|failed|cancelled)|error)$/.test(String(event["type"]))) end = event;
      },
    });
    try {
      const decoder = new TextDecoder();
      for await (const chunk of response.body) {
        parser.feed(decoder.decode(chunk, { stream: true }));
        await this.#isFull?.promise;
      }
    } catch {
      socket.terminate();
      return;
    }
    // Over HTTP the body's end says it.
    if (!end) socket.close(1011, "the reply broke off");
    const done = end?.["response"];
    if (end?.["type"] !== "response.completed" || !isObject(done)) return;
    this.#last = { id: String(done["id"]), items: [...(body["input"] as unknown[]), ...output] };
  }

  /** The request as it would be over HTTP: the handshake's headers, and those of the frame. */
  #requestOf(body: JsonObject): Request {
    const { request } = this.#options;
    const headers = new Headers(request.headers);
    const metadata = body["client_metadata"];
    for (const [name, value] of Object.entries(isObject(metadata) ? metadata : {})) {
      const own = FRAME_HEADER.exec(name)?.[1];
      if (own !== undefined) headers.set(own.replaceAll("_", "-"), String(value));
    }
    headers.set("content-type", "application/json");
    headers.set("accept", "text/event-stream");
    headers.delete("upgrade");
    headers.delete("connection");
    return new Request(request.url, { method: "POST", headers, signal: this.#left.signal });
  }
}

function sendError(socket: ServerWebSocket<StandInSocket>, status: number, error: JsonObject): void {
  socket.send(JSON.stringify({ type: "error", status, error: { type: "invalid_request_error", ...error } }));
}

/** The plan's windows come in a frame, as a socket has reply headers only once. */
function sendLimits(socket: ServerWebSocket<StandInSocket>, headers: Headers): void {
  const window = (which: string) => {
    const number = (name: string) => Number(headers.get(`x-codex-${which}-${name}`) ?? Number.NaN);
    if (Number.isNaN(number("used-percent"))) return null;
    return {
      used_percent: number("used-percent"),
      window_minutes: number("window-minutes"),
      reset_after_seconds: number("reset-after-seconds"),
      reset_at: number("reset-at"),
    };
  };
  const primary = window("primary");
  if (!primary) return;
  const rateLimits = { allowed: true, limit_reached: false, primary, secondary: window("secondary") };
  socket.send(
    JSON.stringify({
      type: "codex.rate_limits",
      plan_type: headers.get("x-codex-plan-type"),
      rate_limits: rateLimits,
    }),
  );
}
