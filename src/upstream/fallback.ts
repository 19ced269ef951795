import { RESERVE_MODEL } from "../codex/plan-limits.ts";
import { RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { FallbackChoice } from "./options.ts";

/** Where a request goes that the plan has no room for. */
export interface Detour {
  /** For headers, log and counts: `reserve`, `api-key`, or the model that answers instead. */
  readonly name: string;
  /** Answers in place of the model that was asked for; undefined keeps that. */
  readonly model: string | undefined;
  /** Pays for it at the public API; undefined stays with the plan. */
  readonly apiKey: string | undefined;
}

/** Limits of a plan, a workspace's spending limit among them. What an account may never use has no fallback. */
const LIMITS = new Set([
  "usage_limit_reached",
  "insufficient_quota",
  "budget_reached",
  "organization_spend_limit_exceeded",
]);

/** A model's refusal is believed for this long before the plan is asked again: a reset may be redeemed at any time. */
const BELIEVED_MS = 60_000;
/** Models whose refusals are remembered. */
const MOST_MODELS = 64;

/** What the owner wants past a limit of the plan, and which models have reached one. */
export class Fallback {
  #choice: FallbackChoice | undefined;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #refused = new Map<string, { readonly error: RelayError; readonly untilMs: number }>();

  constructor(choice: FallbackChoice | undefined, log: Log, now: () => number) {
    this.#choice = choice;
    this.#log = log;
    this.#now = now;
  }

  /** Another choice of the owner's, from now on. */
  choose(choice: FallbackChoice | undefined): void {
    this.#choice = choice;
    this.#refused.clear();
  }

  /** The refusal that a model would get again now, where it has a fallback. */
  standingRefusal(model: string): RelayError | undefined {
    const refused = this.#refused.get(model);
    return refused && refused.untilMs > this.#now() && this.detourOf(model) ? refused.error : undefined;
  }

  /** True for a limit of the plan with a fallback; it is told in the log and believed for a while. */
  notice(model: string, thrown: unknown): thrown is RelayError {
    if (!(thrown instanceof RelayError) || !isLimit(thrown)) return false;
    const detour = this.detourOf(model);
    if (!detour) return false;
    this.#log.warn("A limit of the plan is reached; requests go to the fallback.", { model, fallback: detour.name });
    const believedMs = Math.min(BELIEVED_MS, thrown.retryAfterMs ?? BELIEVED_MS);
    if (this.#refused.size >= MOST_MODELS) this.#refused.clear();
    this.#refused.set(model, { error: thrown, untilMs: this.#now() + believedMs });
    return true;
  }

  /** Undefined where there is none, and for the fallback's own model. */
  detourOf(model: string): Detour | undefined {
    const choice = this.#choice;
    if (!choice) return undefined;
    if (choice.kind === "api-key") return { name: "api-key", model: undefined, apiKey: choice.apiKey };
    const instead = choice.kind === "reserve" ? RESERVE_MODEL : choice.model;
    if (instead === model) return undefined;
    return {
      name: choice.kind === "reserve" ? "reserve" : instead,
      model: instead,
      apiKey: undefined,
    };
  }
}

/** What is told when the fallback fails too: a second limit leaves the first one's words, with their reset. */
export function failedDetour(detour: Detour, refused: RelayError, thrown: unknown): unknown {
  if (!(thrown instanceof RelayError) || thrown.code === "client_closed") return thrown;
  const [told, rest] = isLimit(thrown)
    ? [refused, `The fallback (${detour.name}) has reached its limit too.`]
    : [thrown, `This is the fallback (${detour.name}); a limit of the plan is reached.`];
  return told.reworded(told.message, { hint: [told.hint, rest].filter(Boolean).join(" ") });
}

/** A key that the public API does not take is no fault of the login, which must not be renewed for it. */
export function keyRefused(error: RelayError): RelayError {
  return new RelayError("access_denied", `The public API refused the fallback's API key: ${error.message}`, {
    shouldRetry: false,
    hint: "Check PLANSOCKET_FALLBACK_API_KEY, or set another --fallback.",
    cause: error,
  });
}

function isLimit(thrown: unknown): boolean {
  return thrown instanceof RelayError && thrown.code === "quota_exceeded" && LIMITS.has(thrown.wireCode ?? "");
}
