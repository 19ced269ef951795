import {
  fullestWindow,
  limitsFromBody,
  limitsFromHeaders,
  mergeLimits,
  metersFor,
  planWords,
  RESERVE_MODEL,
  reserveOf,
  SPEND_METER,
  windowName,
  windowsOf,
  type PlanLimits,
  type PlanMeter,
  type PlanWindow,
} from "../codex/plan-limits.ts";
import type { Credentials } from "../auth/credentials.ts";
import { paceOf } from "../codex/pace.ts";
import type { ReplyHeaders } from "../codex/wire/reply-headers.ts";
import { RelayError } from "../lib/errors.ts";
import { parseJson } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { moment } from "../lib/time.ts";
import { messageOf } from "../lib/thrown.ts";

/** What replies said is believed for this long; then the usage endpoint is asked before the next refusal or pass. */
const FRESH_MS = 10 * 60_000;
/** Replies give waits in whole seconds, so equal headers within one second carry no news. */
const SAME_WORDS_MS = 1000;
/** After a question that failed. */
const RETRY_MS = 60_000;
/** Told in the log once each time that a window passes them on its way up. */
const WARN_AT_PERCENT = [95, 80] as const;
/** As in `business`, `self_serve_business_…`, `enterprise_cbp_…`, `ent26`. */
const HAS_SPENDING_LIMIT = /business|enterprise|^ent\d/i;

export interface PlanLimitsOptions {
  /** Asks the usage endpoint; its body as text. Throws when it cannot be asked. */
  readonly ask: () => Promise<string>;
  /** Refuse from this percentage on; undefined never refuses. */
  readonly stopAtPercent: number | undefined;
  readonly now: () => number;
  readonly log: Log;
}

/** How much of the plan is used, as the traffic itself tells, and the owner's own limit on it. */
export class PlanLimitsKeeper {
  readonly #options: PlanLimitsOptions;
  #stopAtPercent: number | undefined;
  #known: PlanLimits | undefined;
  #accountId: string | undefined;
  /** What the last reply's headers said, while nothing else was heard since. */
  #heard: { readonly words: string; readonly accountId: string | undefined; readonly atMs: number } | undefined;
  #askAgainAtMs = 0;
  /** Whose plan was asked about last, with or without an answer. */
  #askedFor: string | undefined;
  #asking: Promise<void> | undefined;
  /** By meter and kind of window: the highest of `WARN_AT_PERCENT` that was told of it. */
  readonly #warned = new Map<string, number>();

  constructor(options: PlanLimitsOptions) {
    this.#options = options;
    this.#stopAtPercent = options.stopAtPercent;
  }

  /** Another limit of the owner's, from now on. */
  stopAt(percent: number | undefined): void {
    this.#stopAtPercent = percent;
  }

  /** The newest that was heard; undefined before the first reply. Asks nobody. */
  current(): PlanLimits | undefined {
    return this.#known;
  }

  /** Headers of any reply to an account's request, good or bad. */
  noticeHeaders(headers: ReplyHeaders, accountId: string | undefined): void {
    const atMs = this.#options.now();
    const words = planWords(headers);
    const heard = this.#heard;
    if (heard?.words === words && heard.accountId === accountId && Math.abs(atMs - heard.atMs) < SAME_WORDS_MS) return;
    this.#notice(limitsFromHeaders(headers, atMs), accountId);
    this.#heard = { words, accountId, atMs };
  }

  /** The event `codex.rate_limits`, or the usage endpoint's body. */
  noticeBody(body: unknown, accountId: string | undefined): PlanLimits | undefined {
    this.#heard = undefined;
    this.#notice(limitsFromBody(body, this.#options.now()), accountId);
    return this.#known;
  }

  #notice(news: PlanLimits | undefined, accountId: string | undefined): void {
    if (!news) return;
    // Another login has another plan.
    this.#known = mergeLimits(this.#accountId === accountId ? this.#known : undefined, news);
    if (this.#accountId !== accountId) this.#warned.clear();
    this.#accountId = accountId;
    this.#askAgainAtMs = this.#options.now() + FRESH_MS;
    this.#warnOfFilling(news);
  }

  /** By level rather than by the window's end, which the backend words in whole seconds that differ from reply to reply. */
  #warnOfFilling(news: PlanLimits): void {
    const nowMs = this.#options.now();
    for (const { meter, kind, window } of windowsOf(news)) {
      const key = `${meter.id} ${kind}`;
      const level = WARN_AT_PERCENT.find((percent) => window.usedPercent >= percent) ?? 0;
      if (level > (this.#warned.get(key) ?? 0)) this.#options.log.warn(fillingText(meter, window, nowMs));
      this.#warned.set(key, level);
    }
  }

  /** Holds the owner's limit against what is known, asking first when that is too old. Throws `quota_exceeded`. */
  async admit(model: string, accountId: string | undefined): Promise<void> {
    const { now } = this.#options;
    const stopAtPercent = this.#stopAtPercent;
    if (stopAtPercent === undefined) return;
    const isOther = this.#accountId !== accountId && this.#askedFor !== accountId;
    if (this.#asking || isOther || now() >= this.#askAgainAtMs) {
      this.#asking ??= this.#ask(accountId).finally(() => (this.#asking = undefined));
      await this.#asking;
    }
    if (this.#accountId !== accountId || !this.#known) return;
    for (const meter of metersFor(this.#known, model)) {
      const window = fullestWindow(meter, now());
      if (window && window.usedPercent >= stopAtPercent) {
        throw stopped(this.#known.plan, meter, window, stopAtPercent, now());
      }
    }
  }

  /**
   * Asks how much is used, behind the request's back, for plans whose replies do not say it: those with a spending limit
   * instead of windows. At most every ten minutes.
   */
  watchSpending({ plan, accountId }: Pick<Credentials, "plan" | "accountId">): void {
    const isDue = this.#askedFor !== accountId || this.#options.now() >= this.#askAgainAtMs;
    if (!isDue || this.#asking || !HAS_SPENDING_LIMIT.test(plan ?? "")) return;
    this.#asking = this.#ask(accountId).finally(() => (this.#asking = undefined));
  }

  /** The spending limit as headers like those that upstream has for windows; undefined when it is not known. */
  spendingHeaders(accountId: string | undefined): Record<string, string> | undefined {
    const known = this.#accountId === accountId ? this.#known : undefined;
    const window = known?.meters.find(({ id }) => id === SPEND_METER)?.primary;
    if (!window) return undefined;
    const { usedPercent, resetsAtMs } = window;
    const waitS =
      resetsAtMs === undefined ? undefined : Math.max(0, Math.ceil((resetsAtMs - this.#options.now()) / 1000));
    return {
      "x-codex-spend-used-percent": String(usedPercent),
      ...(waitS === undefined ? {} : { "x-codex-spend-reset-after-seconds": String(waitS) }),
    };
  }

  /** A used-up plan's error with what the account has left beside its windows: Luna Reserve and banked resets. */
  explained(error: RelayError): RelayError {
    if (error.wireCode !== "usage_limit_reached" || !this.#known) return error;
    const { bankedResets = 0, isReserveOffered } = this.#known;
    const rest = [
      ...(isReserveOffered === true || reserveOf(this.#known)
        ? [`Luna Reserve is left: ask for the model ${RESERVE_MODEL}.`]
        : []),
      ...(bankedResets > 0 ? [`${bankedResets} banked resets are left; use them in ChatGPT or the Codex CLI.`] : []),
    ];
    return rest.length === 0
      ? error
      : error.reworded(error.message, { hint: [error.hint, ...rest].filter(Boolean).join(" ") });
  }

  /** The owner's limit is a courtesy to themselves: when nobody can say how full the plan is, requests pass. */
  async #ask(accountId: string | undefined): Promise<void> {
    const { ask, log, now } = this.#options;
    this.#askAgainAtMs = now() + RETRY_MS;
    // Should this fail, the next reply's words count, also where they are the last one's.
    this.#heard = undefined;
    this.#askedFor = accountId;
    try {
      this.noticeBody(parseJson(await ask()), accountId);
    } catch (error) {
      const reason = { reason: messageOf(error) };
      if (this.#stopAtPercent === undefined) log.debug("How much of the plan is used could not be asked.", reason);
      else
        log.warn("How much of the plan is used could not be asked; --stop-at has to wait for the next reply.", reason);
    }
  }
}

/** As in `week limit of the plan`. */
function limitName(meter: PlanMeter, window: PlanWindow): string {
  if (meter.id === SPEND_METER) return "spending limit of the workspace";
  const length = window.windowMinutes === undefined ? "" : `${windowName(window.windowMinutes)} `;
  return `${length}limit of ${meter.name ?? "the plan"}`;
}

function fillingText(meter: PlanMeter, window: PlanWindow, nowMs: number): string {
  const fullAtMs = window.usedPercent >= 100 ? undefined : paceOf(window, nowMs)?.fullAtMs;
  const facts = [
    `is ${Math.round(window.usedPercent)} % used`,
    ...(fullAtMs === undefined ? [] : [`at this rate full ${moment(fullAtMs, nowMs)}`]),
    ...(window.resetsAtMs === undefined ? [] : [`resets ${moment(window.resetsAtMs, nowMs)}`]),
  ];
  return `The ${limitName(meter, window)} ${facts.join("; ")}. \`plansocket usage\` shows more.`;
}

/** Shaped like the backend's own refusal, so that clients which know that one show its reset time. */
function stopped(
  plan: string | undefined,
  meter: PlanMeter,
  window: PlanWindow,
  stopAtPercent: number,
  nowMs: number,
): RelayError {
  const waitMs = window.resetsAtMs === undefined ? undefined : window.resetsAtMs - nowMs;
  const resets = window.resetsAtMs === undefined ? "" : ` It resets at ${new Date(window.resetsAtMs).toISOString()}.`;
  const message = `The ${limitName(meter, window)} is ${window.usedPercent} % used, and this relay stops at ${stopAtPercent} %.${resets}`;
  const body = {
    error: {
      type: "usage_limit_reached",
      message,
      ...(plan === undefined ? {} : { plan_type: plan }),
      ...(window.resetsAtMs === undefined ? {} : { resets_at: Math.floor(window.resetsAtMs / 1000) }),
      ...(waitMs === undefined ? {} : { resets_in_seconds: Math.ceil(waitMs / 1000) }),
    },
  };
  return new RelayError("quota_exceeded", message, {
    wireCode: "usage_limit_reached",
    shouldRetry: false,
    hint: "Wait, or raise --stop-at.",
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    upstreamBody: { status: 429, contentType: "application/json", text: JSON.stringify(body) },
  });
}
