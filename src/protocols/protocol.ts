import type { CodexRequest } from "../codex/wire/request.ts";
import type { ModelNames } from "../codex/model-names.ts";
import type { ModelCatalogue } from "../codex/models.ts";
import type { ReasoningMemory } from "../codex/reasoning-store.ts";
import type { ResponseMemory } from "../codex/response-store.ts";
import type { CountTokens } from "../codex/output/output-limit.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import type { RelayError } from "../lib/errors.ts";
import type { JsonSize } from "../lib/large-json.ts";

/** How reasoning text reaches Chat Completions clients, which have no official field for it. */
export type ReasoningMode = "both" | "reasoning_content" | "reasoning" | "think-tags" | "none";

/** What a dialect may know about the world. Made once a request, so that every translation is repeatable. */
export interface Context {
  /** Hex characters unique to the request, for ids that upstream does not give. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Milliseconds since `now`. */
  elapsedMs(): number;
  readonly reasoning: ReasoningMode;
  /** System text for requests that bring none; "" when the owner set none. */
  readonly defaultInstructions: string;
  readonly models: ModelCatalogue;
  /** Model names of other vendors, or families of them, and the models that the owner gave them. */
  readonly modelAliases: Readonly<Record<string, string>>;
  readonly memory: ReasoningMemory;
  /** Finished responses of this client, which it may refer to. */
  readonly responses: ResponseMemory;
  /** Counts what the request refers to, before it is taken in. Throws `request_too_large` and `relay_busy`. */
  reserve(size: JsonSize): void;
  /** Tells clients with different keys apart in derived cache keys; "" without a key. Never the key itself. */
  readonly clientId: string;
  /** Counts the tokens of a text; undefined while the vocabulary has not been read. */
  readonly countTokens: CountTokens;
  /** True when the caller is a Codex client, whose traffic passes unchanged. */
  readonly isCodexClient: boolean;
}

/** A request in the backend's language, and what had to give on the way. */
export interface Translation {
  readonly body: CodexRequest;
  /** Client fields that have no effect. `--strict` turns them into a 400. */
  readonly dropped: readonly string[];
  /** Client fields honoured in another way (`stop` emulated, effort clamped, …). */
  readonly changed: readonly string[];
  /** Headers of the reply that only this dialect has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A place in `body`, as in `input[3].content`, in the client's own words; absent where they are the same. */
  readonly clientPath?: (path: string) => string;
  /** True forwards the body as it is: no Responses-Lite re-packing (Codex clients pack it themselves). */
  readonly verbatim?: boolean;
}

/**
 * One event of a streamed reply, before the edge writes it as SSE, as a line of NDJSON, or as a WebSocket message: an
 * event of upstream's that passes as its bytes are, or one that the relay makes.
 */
export type Frame = WireEvent | MadeFrame;

/** An event that the relay makes. */
export interface MadeFrame {
  /** The name, for dialects whose clients read it. */
  readonly event?: string;
  /** An object, or its JSON on one line where writing that is cheaper; `[DONE]` is the only text that is no JSON. */
  readonly data: object | string;
}

/** Takes a frame on its way to the client. */
export type Send = (frame: Frame) => void;

/** State of one streamed reply, whose frames go to the `Send` that it was opened with. */
export interface ClientStream {
  /** True when what upstream says is kept until the end, and so takes memory. */
  readonly keepsAnswer?: boolean;
  /** True after the last frame: upstream may be let go even if it still sends. */
  readonly isDone: boolean;
  /** Throws RelayError when upstream reports a failure; frames already sent stay sent. */
  onEvent(event: WireEvent): void;
  /** Upstream ended. Throws `upstream_stream_truncated` if it ended too early. */
  onEnd(): void;
  /** An error after the status line went out. `requestId` is the one in the reply's header. */
  onFailure(error: RelayError, requestId: string): void;
}

/** State of one reply that is not streamed. */
export interface ClientBody {
  readonly isDone: boolean;
  /** Throws RelayError when upstream reports a failure. */
  onEvent(event: WireEvent): void;
  /** The whole reply. Throws `upstream_stream_truncated` if upstream ended too early. */
  toBody(): unknown;
}

/** How a dialect says no. */
export interface ErrorFormat {
  /** Error body; headers come from the error itself. `requestId` is the one in the reply's header. */
  toError(error: RelayError, requestId: string): unknown;
  /** The status, where the dialect has another one for it than the error itself. */
  statusOf?(error: RelayError): number;
  /** Where the dialect's SDKs look for the request id, beside `x-request-id`. */
  readonly requestIdHeader?: string;
}

/** A whole reply of several JSON objects, one a line. */
export class JsonLines {
  readonly text: string;

  constructor(objects: readonly object[]) {
    this.text = objects.map((object) => `${JSON.stringify(object)}\n`).join("");
  }
}

export type ExtraRoute = `${"GET" | "POST"} /${string}`;

/** What the server knows of a dialect before anybody speaks it; the rest is loaded with the first request. */
export interface ProtocolEntry {
  readonly name: string;
  /** Full paths, with the `/v1` prefix; the server also answers without it. */
  readonly paths: readonly string[];
  /** Method and path, as in `GET /api/tags`, of what the dialect answers by itself, without the backend. */
  readonly extraRoutes?: readonly ExtraRoute[];
  /** One of OpenAI's own: with an API-key login its requests go to the public API as they are. */
  readonly isOpenai: boolean;
  /** True when a request's headers or path name the dialect, for routes that it shares with others or does not have. */
  recognizes?(headers: Headers, path: string): boolean;
  load(): Promise<ErrorFormat>;
}

export interface Dialect extends ProtocolEntry {
  load(): Promise<Protocol>;
}

/** What a client asks, and how its reply is made. */
export type ClientRequest = ModelRequest | AnsweredRequest;

/** A request for the model. */
export interface ModelRequest {
  readonly translation: Translation;
  readonly isStreaming: boolean;
  /** How many tokens of answer the client allows, where the relay counts them. */
  readonly maxOutputTokens?: number | undefined;
  /** The reply as a stream, whose frames go to `send`. */
  stream(send: Send): ClientStream;
  /** The same reply as one body. */
  body(): ClientBody;
}

/** A request that asks no model anything: its whole reply. */
interface AnsweredRequest {
  readonly reply: object;
}

/** Who asks for the list of models, and for which part of it. */
export interface ModelListRequest {
  readonly query: URLSearchParams;
  readonly userAgent: string;
}

/** A dialect that clients speak. Pure: no clock, no network, no disk, no randomness. */
export interface Protocol extends ErrorFormat {
  readonly name: string;
  /** A body from outside, understood. Throws RelayError with `param`. */
  read(body: unknown, context: Context): ClientRequest;
  /** How a streamed reply is written: server-sent events, or one JSON object a line. */
  readonly streamFormat: "sse" | "ndjson";
  /** Sent while upstream is silent, where the dialect has an event for it; else SSE has its comments. */
  readonly keepAlive?: MadeFrame;
  /** The reply to a request on one of the dialect's `extraRoutes`; `body` is undefined for GET. */
  answerExtraRoute?(extraRoute: string, body: unknown, context: Context): Promise<unknown>;
  /** GET /v1/models in the dialect's own form, where it has one. Throws RelayError. */
  toModelList?(names: ModelNames, asked: ModelListRequest): object;
  /** GET /v1/models/{id}, likewise. Throws `model_not_found`. */
  toModel?(names: ModelNames, id: string): object;
}
