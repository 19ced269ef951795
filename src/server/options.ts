import type { CertificateFiles } from "./certificate.ts";
import type { Prices } from "../ledger/prices.ts";
import type { ReasoningMode } from "../protocols/protocol.ts";

/** Settings of the listening side. Plain values; `config` fills them in. */
export interface RelayOptions {
  /** Address to bind. Off loopback an `apiKey` or a client's key is required. */
  readonly host: string;
  /** More of them, on the same port. */
  readonly otherHosts?: readonly string[];
  /** Socket to listen on instead; `host` is then what clients call it by, a loopback name. */
  readonly unix?: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly apiKey: string | undefined;
  /** What logs and counters call `apiKey`; `owner` when left out. */
  readonly apiKeyName?: string;
  /** Speaks TLS with these; plain HTTP when left out. */
  readonly tls?: CertificateFiles;
  /** Addresses, blocks, `loopback` or `private`: reverse proxies whose X-Forwarded-* headers are believed. */
  readonly trustProxies?: readonly string[];
  /** Path below which all routes are, as `/relay`, for reverse proxies that do not take it off. */
  readonly basePath?: string;
  /** Host names (no port) that `Host` may carry besides the loopback ones; `*` allows all. */
  readonly allowHosts: readonly string[];
  /** Web origins that may call from a browser, as `https://app.example`; `*` allows all. */
  readonly corsOrigins: readonly string[];
  /** Refuse fields that would be dropped instead of naming them in `x-plansocket-adjusted`. */
  readonly strict: boolean;
  readonly reasoning: ReasoningMode;
  /** System text for requests that bring none. */
  readonly instructions: string;
  /** Model names of other vendors and what they stand for. */
  readonly modelAliases: Readonly<Record<string, string>>;
  readonly maxBodyBytes: number;
  /** Requests in flight at once; more get 503 with `Retry-After`, because Bun's fetch would queue them in silence. */
  readonly maxRequests: number;
  /** Silence after which a streaming client gets a keep-alive comment. */
  readonly keepAliveMs: number;
  /** The owner's own prices, for list prices beside counts. */
  readonly prices?: Prices;
}
