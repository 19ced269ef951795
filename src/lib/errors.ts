/**
 * Every way in which the relay can say no. Closed on purpose: a new failure gets a line here, with its status,
 * before it can be thrown.
 */
export type ErrorCode = keyof typeof KINDS;

interface Kind {
  /** HTTP status a client sees. */
  readonly status: number;
  /** `error.type` in the OpenAI envelope. */
  readonly type: string;
  /** `error.code` in the OpenAI envelope unless the error carries an upstream code of its own. */
  readonly wireCode: string | null;
}

const badRequest = (wireCode: string | null): Kind => ({
  status: 400,
  type: "invalid_request_error",
  wireCode,
});

const KINDS = {
  // What the client sent
  invalid_request: badRequest(null),
  missing_required_parameter: badRequest("missing_required_parameter"),
  invalid_type: badRequest("invalid_type"),
  invalid_value: badRequest("invalid_value"),
  empty_array: badRequest("empty_array"),
  array_above_max_length: badRequest("array_above_max_length"),
  unsupported_parameter: badRequest("unsupported_parameter"),
  unsupported_value: badRequest("unsupported_value"),
  invalid_function_parameters: badRequest("invalid_function_parameters"),
  context_length_exceeded: badRequest("context_length_exceeded"),
  previous_response_not_found: badRequest("previous_response_not_found"),
  request_too_large: {
    status: 413,
    type: "invalid_request_error",
    wireCode: "request_too_large",
  },
  unsupported_media_type: {
    status: 415,
    type: "invalid_request_error",
    wireCode: "unsupported_media_type",
  },
  model_not_found: {
    status: 404,
    type: "invalid_request_error",
    wireCode: "model_not_found",
  },

  // Who may come in, and where to
  invalid_api_key: {
    status: 401,
    type: "invalid_request_error",
    wireCode: "invalid_api_key",
  },
  /** The relay's own list of keys is broken: nobody's key is wrong. */
  keys_unreadable: { status: 503, type: "server_error", wireCode: "keys_unreadable" },
  model_not_allowed: { status: 403, type: "permission_error", wireCode: "model_not_allowed" },
  key_limit_reached: { status: 429, type: "rate_limit_error", wireCode: "key_limit_reached" },
  host_not_allowed: {
    status: 403,
    type: "permission_error",
    wireCode: "host_not_allowed",
  },
  origin_not_allowed: {
    status: 403,
    type: "permission_error",
    wireCode: "origin_not_allowed",
  },
  not_found: { status: 404, type: "invalid_request_error", wireCode: null },
  method_not_allowed: {
    status: 405,
    type: "invalid_request_error",
    wireCode: "method_not_allowed",
  },
  not_implemented: {
    status: 501,
    type: "invalid_request_error",
    wireCode: "not_implemented",
  },
  upgrade_required: {
    status: 426,
    type: "invalid_request_error",
    wireCode: "upgrade_required",
  },
  relay_stopping: { status: 503, type: "server_error", wireCode: "relay_stopping" },
  relay_busy: { status: 503, type: "server_error", wireCode: "relay_busy" },
  client_closed: { status: 499, type: "invalid_request_error", wireCode: "client_closed" },

  // The login
  codex_auth_required: {
    status: 401,
    type: "authentication_error",
    wireCode: "codex_auth_required",
  },
  login_unwritable: { status: 503, type: "server_error", wireCode: "login_unwritable" },
  /** The store that replicas share is away, or holds what this relay cannot read. */
  store_unavailable: { status: 503, type: "server_error", wireCode: "store_unavailable" },
  upstream_unauthorized: {
    status: 401,
    type: "authentication_error",
    wireCode: "invalid_api_key",
  },

  // What upstream said
  access_denied: { status: 403, type: "permission_error", wireCode: "access_denied" },
  workspace_region: { status: 403, type: "permission_error", wireCode: "workspace_region_not_authorized" },
  upstream_challenge: { status: 502, type: "permission_error", wireCode: "access_denied" },
  upstream_rejected: badRequest(null),
  quota_exceeded: {
    status: 429,
    type: "insufficient_quota",
    wireCode: "insufficient_quota",
  },
  rate_limit_exceeded: {
    status: 429,
    type: "rate_limit_error",
    wireCode: "rate_limit_exceeded",
  },
  overloaded: { status: 503, type: "server_error", wireCode: "server_is_overloaded" },
  upstream_error: { status: 502, type: "server_error", wireCode: "upstream_error" },
  upstream_unreachable: {
    status: 502,
    type: "server_error",
    wireCode: "upstream_unreachable",
  },
  upstream_timeout: { status: 504, type: "server_error", wireCode: "upstream_timeout" },
  upstream_stream_truncated: {
    status: 502,
    type: "server_error",
    wireCode: "upstream_stream_truncated",
  },

  // Ourselves
  ledger_newer: { status: 500, type: "server_error", wireCode: null },
  internal_error: { status: 500, type: "server_error", wireCode: "internal_error" },
  usage: { status: 400, type: "invalid_request_error", wireCode: null },
  start_failed: { status: 500, type: "server_error", wireCode: null },
  stop_failed: { status: 500, type: "server_error", wireCode: null },
  service_failed: { status: 500, type: "server_error", wireCode: null },
  nothing_there: { status: 500, type: "server_error", wireCode: null },
  login_failed: { status: 500, type: "server_error", wireCode: null },
  setup_failed: { status: 500, type: "server_error", wireCode: null },
  keys_failed: { status: 500, type: "server_error", wireCode: null },
  update_failed: { status: 500, type: "server_error", wireCode: null },
} as const satisfies Record<string, Kind>;

export interface RelayErrorOptions {
  /** One sentence saying what to do next. Shown under the message on a terminal and appended for API clients. */
  readonly hint?: string;
  /** JSON path of the field at fault, as in `messages[0].content[1].type`. */
  readonly param?: string;
  /** Upstream's own code, when clients know how to act on it (`usage_limit_reached`, `cyber_policy` …). */
  readonly wireCode?: string;
  /** How long a client should wait, in milliseconds; becomes `Retry-After`. */
  readonly retryAfterMs?: number;
  /** False stops the official SDKs from repeating a request that cannot succeed (`x-should-retry`). */
  readonly shouldRetry?: boolean;
  /** Headers that belong to this refusal alone (`Allow`, `WWW-Authenticate`, upstream's `x-codex-*`). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Upstream's body, kept so that Codex clients get the very bytes that they know how to read. */
  readonly upstreamBody?: { readonly status: number; readonly contentType: string; readonly text: string };
  readonly cause?: unknown;
}

/**
 * The one error of the relay. Thrown where the cause is known, rendered in two places: `server/reply.ts` for clients
 * and `cli/output.ts` for the terminal. `message` is one sentence without secrets.
 */
export class RelayError extends Error {
  override readonly name = "RelayError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly param: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly shouldRetry: boolean | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly upstreamBody: RelayErrorOptions["upstreamBody"];
  readonly #wireCode: string | undefined;

  constructor(code: ErrorCode, message: string, options: RelayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.param = options.param;
    this.retryAfterMs = options.retryAfterMs;
    this.shouldRetry = options.shouldRetry;
    this.headers = options.headers ?? {};
    this.upstreamBody = options.upstreamBody;
    this.#wireCode = options.wireCode;
  }

  /** The same error in other words. */
  reworded(message: string, changes: RelayErrorOptions = {}): RelayError {
    const { hint, param, retryAfterMs, shouldRetry, upstreamBody } = this;
    const given = Object.entries({ hint, param, retryAfterMs, shouldRetry, upstreamBody, wireCode: this.#wireCode });
    const kept: RelayErrorOptions = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    return new RelayError(this.code, message, { ...kept, headers: this.headers, cause: this.cause, ...changes });
  }

  /** Message and hint as one text: few clients show anything else. Upstream's messages may lack their full stop. */
  get explanation(): string {
    if (this.hint === undefined) return this.message;
    return `${this.message}${/[.!?]$/.test(this.message) ? "" : "."} ${this.hint}`;
  }

  /** HTTP status a client sees. */
  get status(): number {
    return KINDS[this.code].status;
  }

  /** `error.type` of the OpenAI envelope. */
  get type(): string {
    return KINDS[this.code].type;
  }

  /** `error.code` of the OpenAI envelope. */
  get wireCode(): string | null {
    return this.#wireCode ?? KINDS[this.code].wireCode;
  }
}

/** Anything thrown, as a RelayError. A stranger becomes `internal_error`, its text kept only as the cause. */
export function toRelayError(thrown: unknown): RelayError {
  if (thrown instanceof RelayError) return thrown;
  return new RelayError("internal_error", "The relay failed on this request.", { cause: thrown });
}
