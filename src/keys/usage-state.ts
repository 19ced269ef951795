import { windowsOf, type PlanLimits } from "../codex/plan-limits.ts";
import type { Spent } from "./budgets.ts";

/** What one key has used. */
interface KeyCounts {
  /** Local day that `tokens` and `requests` belong to, as in `2027-01-31`. */
  readonly day: string;
  readonly tokens: number;
  readonly requests: number;
  readonly lastUsedAtMs: number;
}

/** One window of the plan, and who filled it. Keys by their ids. */
export interface WindowState {
  readonly usedPercent: number;
  readonly resetsAtMs: number | undefined;
  /** In percent of the whole window. */
  readonly filledBy: Readonly<Record<string, number>>;
  /** Weights of what was used since the window was last seen to grow. */
  readonly pending: Readonly<Record<string, number>>;
  /** What the window grew by, and for which weight: later growth counts more, and what came before a reset still counts. */
  readonly growth: number;
  readonly weight: number;
}

/** All that is kept of the keys' use. */
export interface UsageState {
  readonly keys: Readonly<Record<string, KeyCounts>>;
  /** By meter and kind, as in `codex primary`. */
  readonly windows: Readonly<Record<string, WindowState>>;
}

export const NO_USAGE: UsageState = { keys: {}, windows: {} };

/** What has happened since the last state. */
export interface UsageDelta {
  readonly keys: Readonly<Record<string, KeyCounts>>;
  readonly weights: Readonly<Record<string, number>>;
  readonly plan: PlanLimits | undefined;
}

export const NO_DELTA: UsageDelta = { keys: {}, weights: {}, plan: undefined };

/** Keys that are remembered, last used first; more than a relay may have, for those that are gone. */
const MOST_KEYS = 512;

/** Meters that all models count on: the plan itself, and a workspace's spending limit. */
const SHARED_METERS = new Set(["codex", "spend"]);

/** The local day of a moment. */
export function dayOf(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The local midnight after a moment; days of 23 and 25 hours end with their date. */
export function endOfDay(ms: number): number {
  const date = new Date(ms);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
}

/**
 * How much a request weighs in a window. The backend does not say how it counts; a cached token counts a tenth here, as
 * in the vendor's public prices, all others one.
 */
function weightOf({ input, cached, output }: Spent): number {
  const known = Math.min(cached, input);
  return input - known + known / 10 + output;
}

/** A delta with one more request in it. */
export function withRequest(
  delta: UsageDelta,
  id: string,
  spent: Spent,
  plan: PlanLimits | undefined,
  nowMs: number,
): UsageDelta {
  const one = { day: dayOf(nowMs), tokens: spent.input + spent.output, requests: 1, lastUsedAtMs: nowMs };
  return {
    keys: { ...delta.keys, [id]: sum(delta.keys[id], one) },
    weights: { ...delta.weights, [id]: (delta.weights[id] ?? 0) + weightOf(spent) },
    plan: plan ?? delta.plan,
  };
}

/** Two deltas as one; `later` came after. */
export function joined(earlier: UsageDelta, later: UsageDelta): UsageDelta {
  return {
    keys: sums(earlier.keys, later.keys),
    weights: added(earlier.weights, later.weights),
    plan: later.plan ?? earlier.plan,
  };
}

/** The state after a delta. */
export function merged(state: UsageState, delta: UsageDelta): UsageState {
  const keys = Object.entries(sums(state.keys, delta.keys))
    .toSorted(([, one], [, other]) => other.lastUsedAtMs - one.lastUsedAtMs)
    .slice(0, MOST_KEYS);
  const windows = Object.fromEntries(
    Object.entries(state.windows).map(([name, window]): [string, WindowState] => [
      name,
      { ...window, pending: added(window.pending, delta.weights) },
    ]),
  );
  for (const { meter, kind, window } of delta.plan ? windowsOf(delta.plan) : []) {
    if (!SHARED_METERS.has(meter.id)) continue;
    const name = `${meter.id} ${kind}`;
    const known = windows[name] ?? { ...UNSEEN, usedPercent: window.usedPercent, pending: delta.weights };
    windows[name] = afterNews(known, window.usedPercent, window.resetsAtMs);
  }
  return { keys: Object.fromEntries(keys), windows };
}

const UNSEEN: WindowState = { usedPercent: 0, resetsAtMs: undefined, filledBy: {}, pending: {}, growth: 0, weight: 0 };

/** Replies word the end of one and the same window in whole seconds that differ a little. */
const SAME_END_MS = 5 * 60_000;
/** Replies that overtake each other tell of a little less than was known; a window that was emptied has much less. */
const EMPTIED_PART = 1 / 2;

/** A window after the backend has said how full it is: its growth goes to those who used the plan meanwhile, by weight. */
function afterNews(known: WindowState, usedPercent: number, resetsAtMs: number | undefined): WindowState {
  const isLater = known.resetsAtMs !== undefined && (resetsAtMs ?? 0) > known.resetsAtMs + SAME_END_MS;
  const isAnew = isLater || usedPercent < known.usedPercent * EMPTIED_PART;
  const before = isAnew ? { ...known, usedPercent: 0, filledBy: {} } : known;
  const end = { resetsAtMs: resetsAtMs ?? before.resetsAtMs };
  const growth = usedPercent - before.usedPercent;
  const weight = Object.values(before.pending).reduce((total, part) => total + part, 0);
  if (growth <= 0) return { ...before, ...end };
  // Nobody here has used anything: other programs of the account, or requests that are still under way.
  if (weight === 0) return { ...before, ...end, usedPercent };
  const shares = Object.fromEntries(Object.entries(before.pending).map(([id, part]) => [id, (part / weight) * growth]));
  return {
    ...end,
    usedPercent,
    filledBy: added(before.filledBy, shares),
    pending: {},
    growth: before.growth * KEPT + growth,
    weight: before.weight * KEPT + weight,
  };
}

/** Of what is known of a window's growth, with each further growth. */
const KEPT = 0.9;
/** Below it a growth says more of others than of the keys: a short answer when a window was about to pass a percent. */
const TRUSTED_WEIGHT = 10_000;
/** The backend counts whole percents: what has not shown yet is half of one in the mean, and never more than one. */
const HIDDEN_PERCENT = 0.5;

/**
 * A key's part of a window in percent: what it filled, what it used since the window was last seen to grow, and what
 * `underWay` may use, the two by the rate at which the window has grown so far.
 */
export function shareOf({ filledBy, pending, growth, weight }: WindowState, id: string, underWay: number): number {
  const rate = weight < TRUSTED_WEIGHT ? 0 : growth / weight;
  const hidden = Math.min(HIDDEN_PERCENT, (pending[id] ?? 0) * rate);
  return (filledBy[id] ?? 0) + hidden + underWay * rate;
}

function sums(
  one: Readonly<Record<string, KeyCounts>>,
  other: Readonly<Record<string, KeyCounts>>,
): Record<string, KeyCounts> {
  const all = { ...one };
  for (const [id, counts] of Object.entries(other)) all[id] = sum(one[id], counts);
  return all;
}

/** Of the later day, where the two belong to different ones. */
function sum(one: KeyCounts | undefined, other: KeyCounts): KeyCounts {
  if (!one) return other;
  const lastUsedAtMs = Math.max(one.lastUsedAtMs, other.lastUsedAtMs);
  if (one.day !== other.day) return { ...(one.day > other.day ? one : other), lastUsedAtMs };
  const [tokens, requests] = [one.tokens + other.tokens, one.requests + other.requests];
  return { day: one.day, tokens, requests, lastUsedAtMs };
}

function added(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const all: Record<string, number> = { ...one };
  for (const [name, value] of Object.entries(other)) all[name] = (all[name] ?? 0) + value;
  return all;
}
