/** Tokens of one answer. */
interface Tokens {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
}

/** What is known of a request when it arrives. */
export interface RequestStart {
  /** `WS` for one that came as a frame of a socket. */
  readonly method: string;
  /** The route's pattern; undefined where none fits. */
  readonly route: string | undefined;
  /** Without its query. */
  readonly path: string;
  readonly isSecure: boolean;
  /** The client's product name; "" when it has none. */
  readonly client: string;
  /** Asked for `traceparent` and `tracestate` alone. */
  readonly headers: Headers;
}

/** How a request ended: facts alone, never what was asked or answered. */
export interface RequestEnd {
  /** What the client finds in its reply and the owner in the log. */
  readonly requestId: string;
  readonly status: number;
  /** The error's code; undefined for a request that went well. */
  readonly code: string | undefined;
  /** The error's own status, also where the client saw a good one. */
  readonly errorStatus: number | undefined;
  readonly hasClientLeft: boolean;
  readonly isStream: boolean;
  readonly dialect: string | undefined;
  /** Name of the key that the client came in with. */
  readonly key: string | undefined;
  readonly address: string | undefined;
  readonly modelAsked: string | undefined;
  readonly model: string | undefined;
  readonly effort: string | undefined;
  readonly fallback: string | undefined;
  readonly tokens: Tokens | undefined;
  readonly finish: string | undefined;
  /** Since the request came. */
  readonly firstTokenMs: number | undefined;
  readonly totalMs: number;
}

/** What else is known by then. */
export interface EndContext {
  /** The request's model where the account has it, else `other`: clients may write anything, and metrics keep all they see. */
  readonly model: string;
  /** A digest that stays the same for all requests of one conversation. */
  readonly conversation: string | undefined;
}

/** One try to get an answer from a backend. */
export interface Attempt {
  readonly url: string;
  /** Undefined where requests are passed on unread. */
  readonly model: string | undefined;
}

/** One request on its way to the collector. Its methods never throw. */
export interface RequestTrace {
  /** An attempt begins; the headers by which its backend can go on with the trace, where it is to. */
  attempt(attempt: Attempt): Readonly<Record<string, string>>;
  /** That attempt failed, and another may follow. */
  attemptFailed(code: string): void;
  /** Nothing more will happen. Without it, as for a health check, nothing is sent of the request. */
  end(end: RequestEnd, context: EndContext): void;
}

/** How much of one window of the plan is used. */
export interface PlanUse {
  /** Whose window it is, as in `codex`; and which, as in `primary`. */
  readonly meter: string;
  readonly window: string;
  /** 1 is all. */
  readonly used: number;
}

/** Tells a collector what happens. One that is slow or away harms no request. */
export interface Telemetry {
  /** Never throws. */
  begin(start: RequestStart): RequestTrace;
  /** Tells the plan's windows with every batch of metrics, as `read` knows them then. */
  watchPlan(read: () => readonly PlanUse[]): void;
  /** Sends what is left, for a short while. */
  close(): Promise<void>;
}
