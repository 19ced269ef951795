/** What is counted of one request that has ended: numbers and names, and nothing of what was asked or answered. */
export interface LedgerEntry {
  /** Epoch milliseconds. */
  readonly endedAtMs: number;
  /** An id of the account's list, or `other`. */
  readonly model: string;
  /** The client's product name; "" when it has none. */
  readonly client: string;
  /** Name of the key that it came in with; "" for none. */
  readonly key: string;
  /** What the client got, or of a stream that failed, the error's own. */
  readonly status: number;
  /** What answered past a limit of the plan; "" when the plan did. */
  readonly fallback: string;
  /** Stays the same for all requests of one conversation, and says nothing of it; undefined where there is none. */
  readonly conversation: string | undefined;
  /** Tokens as upstream counted them. `cached` are part of `input`, `reasoning` of `output`. */
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
  readonly firstTokenMs: number | undefined;
  readonly totalMs: number;
}

/** Amounts of tokens and requests. */
export interface Amounts {
  readonly requests: number;
  /** Requests with a status of 400 or above. */
  readonly errors: number;
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
}
