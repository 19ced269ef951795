import type { TransportChoice } from "./transport/websocket.ts";

/** Which Responses envelope a model gets: `auto` follows the catalogue, the rest is set by hand for single models. */
interface LiteChoice {
  readonly default: "auto" | "on" | "off";
  /** By model id; wins over the default. */
  readonly models: Readonly<Record<string, "on" | "off">>;
}

/** What is done past a limit of the plan: Luna Reserve, another model of the plan, or the public API for a key's money. */
export type FallbackChoice =
  | { readonly kind: "reserve" }
  | { readonly kind: "model"; readonly model: string }
  | { readonly kind: "api-key"; readonly apiKey: string };

/** How to reach upstream. Plain values; `config` fills them in. */
export interface UpstreamOptions {
  /** Without a trailing slash: https://chatgpt.com/backend-api/codex */
  readonly baseUrl: string;
  /** Appended to `baseUrl`: /responses */
  readonly responsesPath: string;
  /** Public API for API-key logins: https://api.openai.com/v1 */
  readonly openaiBaseUrl: string;
  /** Codex CLI version that the relay names itself after; too old a one loses models. */
  readonly clientVersion: string;
  /** Program name in the headers that name the relay to the backend. */
  readonly originator: string;
  /** Whether the load balancer's cookies are sent back; on when not given. */
  readonly cookies?: "on" | "off";
  readonly lite: LiteChoice;
  readonly transport: TransportChoice;
  /** From sending a request to its response headers. */
  readonly firstByteTimeoutMs: number;
  /** Longest silence inside a response. */
  readonly idleTimeoutMs: number;
  /** How long a reply's status may be held back while nothing but preamble events has come. */
  readonly holdMs: number;
  /** models_cache.json of the Codex CLI, used while the backend cannot be asked. */
  readonly modelsCacheFile: string | undefined;
  /** Ids that the owner listed by hand (`--models`). */
  readonly models: readonly string[] | undefined;
  /** Refuse requests once the plan is used to this percentage; undefined leaves that to the backend. */
  readonly stopAtPercent?: number | undefined;
  /** Undefined lets the limit's error stand. */
  readonly fallback?: FallbackChoice | undefined;
}

/** What may change while the relay runs. */
export type LiveUpstreamOptions = Pick<
  UpstreamOptions,
  "lite" | "transport" | "firstByteTimeoutMs" | "idleTimeoutMs" | "models" | "stopAtPercent" | "fallback"
>;
