import type { WireEvent } from "../codex/wire/event.ts";
import type { ReplyHeaders } from "../codex/wire/reply-headers.ts";
import type { AttemptObserver } from "./attempts.ts";
import type { WrittenRequest } from "./request-encoder.ts";
import type { EventBatches } from "./sse.ts";
import type { PairedFrame, PairedSocket } from "./transport/paired-socket.ts";

/** One request to the backend. */
export interface UpstreamCall extends WrittenRequest {
  readonly observer?: ReplyObserver;
  /** Where a Codex client asks over a socket: the backend's socket that belongs to it, and its own frame. */
  readonly paired?: { readonly socket: PairedSocket; readonly frame: PairedFrame };
}

/** Watches a reply's events as they come, also of attempts that are then repeated. Quick, and never throws. */
export interface ReplyObserver extends AttemptObserver {
  /** Every event but the many deltas. */
  onNotable(event: WireEvent): void;
  /** All events of one network read. */
  onBatch(batch: readonly WireEvent[]): void;
}

/** A reply that has begun well: its first event that matters is no failure, or none came for `holdMs`. */
export interface UpstreamReply {
  readonly headers: ReplyHeaders;
  /** Whoever stops reading before the end cancels it: an abort of the signal wakes only those who read. */
  readonly events: EventBatches;
  /** Paths of what was not sent as the dialect wrote it. */
  readonly dropped: readonly string[];
  /** Who answers in place of the plan or of the model that was asked for, past a limit of the plan. */
  readonly fallback?: { readonly name: string; readonly model: string } | undefined;
  /** Where the request departs from the conversation's last one, so that the prompt cache ends there; see PrefixWatch. */
  readonly prefixDeparture?: string | undefined;
  /** Stays the same for all requests of one client's conversation. */
  readonly ownConversation?: string | undefined;
}
