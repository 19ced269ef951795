/** What the status page asks the relay, and what it is told. The relay imports these types, so both sides agree. */

/** GET page/state. Times are epoch milliseconds. */
export interface PageState {
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  /** Requests must bring a key. */
  readonly isKeyRequired: boolean;
  readonly login: LoginView;
  /** Undefined before the plan was heard of, and for API keys. */
  readonly plan: PlanView | undefined;
  readonly models: readonly ModelView[];
  /** True while the account's own list could not be asked. */
  readonly isModelListOld: boolean;
  readonly counts: CountsView;
  /** False when nothing is counted (`--ledger off`). */
  readonly hasLedger: boolean;
}

export type LoginView =
  | {
      readonly isGood: true;
      readonly kind: "chatgpt" | "api-key";
      readonly email: string | undefined;
      readonly plan: string | undefined;
      /** Where it was read: a file or the environment. */
      readonly source: string;
      readonly expiresAtMs: number | undefined;
    }
  | { readonly isGood: false; readonly message: string; readonly fix: string };

export interface PlanView {
  readonly windows: readonly WindowView[];
  /** As in `12.5`; `unlimited`; undefined when there are none. */
  readonly credits: string | undefined;
  readonly bankedResets: number | undefined;
  readonly isReserveOffered: boolean;
  readonly seenAtMs: number;
}

export interface WindowView {
  /** For people, as in `5 hours` or `gpt-x, week`. */
  readonly name: string;
  readonly usedPercent: number;
  readonly resetsAtMs: number | undefined;
  /** Where it is heading; undefined while nothing can be said. */
  readonly pace: { readonly percentAtReset: number; readonly fullAtMs: number | undefined } | undefined;
  /** Of a spending limit, as in `12.50 of 50 credit`. */
  readonly amount: string | undefined;
}

export interface ModelView {
  readonly id: string;
  readonly name: string;
  readonly contextTokens: number | undefined;
  readonly efforts: readonly string[];
  readonly tiers: readonly string[];
  readonly inputs: readonly string[];
}

export interface CountsView {
  readonly requests: number;
  readonly errors: number;
  readonly inFlight: number;
  readonly openStreams: number;
}

/** One request that has ended. Says nothing of what was asked or answered. */
export interface RequestView {
  readonly id: string;
  readonly endedAtMs: number;
  readonly method: string;
  readonly route: string;
  /** A key's name, else the client's product name, else "". */
  readonly client: string;
  readonly asked: string | undefined;
  readonly model: string | undefined;
  readonly effort: string | undefined;
  readonly status: number;
  readonly code: string | undefined;
  /** For errors: what to do next. */
  readonly fix: string | undefined;
  readonly firstTokenMs: number | undefined;
  readonly totalMs: number;
  readonly tokens:
    | { readonly input: number; readonly cached: number; readonly output: number; readonly reasoning: number }
    | undefined;
  readonly adjusted: readonly string[];
  readonly fallback: string | undefined;
  /** Part of the request at which the prompt cache ended. */
  readonly changedAt: string | undefined;
  readonly hasClientLeft: boolean;
}

/** Events of page/live: `requests` (oldest first, at the start and after a gap) and `request` (one that has ended). */
export interface LiveEvents {
  readonly requests: readonly RequestView[];
  readonly request: RequestView;
}

/** GET page/usage?by=model|client&days=N. */
export interface UsageView {
  /** Length of a bucket. */
  readonly unit: "hour" | "day";
  readonly buckets: readonly {
    readonly startMs: number;
    readonly groups: readonly ({ readonly name: string } & Amounts)[];
  }[];
  readonly totals: readonly ({ readonly name: string; readonly price: number | undefined } & Amounts)[];
  /** Whose prices `price` is in; undefined when the owner has set none. */
  readonly hasPrices: boolean;
}

export interface Amounts {
  readonly requests: number;
  readonly errors: number;
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
}
