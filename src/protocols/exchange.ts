import type { EndpointCall } from "../codex/wire/endpoint-call.ts";
import type { JsonObject } from "../lib/json.ts";
import type { ClientStream, Context, ErrorFormat, MadeFrame, ProtocolEntry, Send, Translation } from "./protocol.ts";

/** One step of a dialogue with the backend: one of its other endpoints, or a whole response. */
export type Step = { readonly endpointCall: EndpointCall } | { readonly translation: Translation };

/** What the client gets: JSON, a text of another type, or a stream of which every event is known at once. */
export type Answer =
  | { readonly json: object }
  | { readonly text: string; readonly contentType: string }
  | { readonly frames: readonly MadeFrame[] };

/**
 * What the backend is asked, one question after the other, and what is made of its answers. Pure: it is given every
 * answer (for a response, the Response object), and the RelayError where there was none.
 */
export type Dialogue = Generator<Step, Answer, JsonObject>;

/** How one request is answered. */
export interface Exchange {
  /** Client fields that have no effect. `--strict` turns them into a 400. */
  readonly dropped: readonly string[];
  /** Client fields honoured in another way. */
  readonly changed: readonly string[];
  /** The model that the plan is charged for, as far as is known beforehand. */
  readonly model: string;
  /** Names the conversation that it belongs to, for the backend's prompt cache. */
  readonly conversation?: string;
  readonly way:
    | { readonly dialogue: Dialogue }
    | { readonly translation: Translation; readonly stream: (send: Send) => ClientStream };
}

/** A dialect of requests that other endpoints of the backend answer. Pure, like every Protocol. */
export interface ExchangeProtocol extends ErrorFormat {
  readonly name: string;
  /** Bodies come as multipart forms: `{name: text | Upload}`, a list where a name comes again or ends in `[]`. */
  readonly takesForms: "always" | "also" | "never";
  /** A body from outside, understood. Throws RelayError with `param`, also for what the backend cannot do. */
  read(body: unknown, context: Context): Exchange;
}

/** The same before anybody speaks it. */
export interface ExchangeDialect extends ProtocolEntry {
  load(): Promise<ExchangeProtocol>;
}
