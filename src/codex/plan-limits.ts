import { z } from "zod";
import { isObject } from "../lib/json.ts";
import { lazily } from "../lib/lazily.ts";
import { validEpochMs } from "../lib/epoch.ts";
import { TURN_STATE_HEADER, type ReplyHeaders } from "./wire/reply-headers.ts";

/** One window of a plan: it fills with use and empties at once when it ends. */
export interface PlanWindow {
  /** 0 to 100, and above when a limit was passed. */
  readonly usedPercent: number;
  readonly windowMinutes: number | undefined;
  /** Epoch milliseconds; undefined when upstream does not say. */
  readonly resetsAtMs: number | undefined;
}

/** What is counted together: the plan itself, or a model that has windows of its own. */
export interface PlanMeter {
  /** `codex` for the plan itself. */
  readonly id: string;
  /** For people: a model's name; undefined for the plan itself. */
  readonly name: string | undefined;
  readonly primary: PlanWindow | undefined;
  readonly secondary: PlanWindow | undefined;
  readonly monthly?: PlanWindow | undefined;
  /** Undefined when upstream does not say. */
  readonly isReached: boolean | undefined;
  /** Of a spending limit: amounts as upstream writes them. */
  readonly amount?: { readonly used: string; readonly limit: string; readonly unit: string | undefined } | undefined;
  /** The model that this one stands in for when the plan's own windows are full. */
  readonly standsInFor?: string | undefined;
}

interface PlanCredits {
  readonly hasCredits: boolean;
  readonly isUnlimited: boolean;
  /** As upstream writes it, `12.5`. */
  readonly balance: string | undefined;
}

/** How much of the plan is used. */
export interface PlanLimits {
  readonly plan: string | undefined;
  /** The plan itself comes first. */
  readonly meters: readonly PlanMeter[];
  readonly credits: PlanCredits | undefined;
  /** Resets of the windows that the account may still use up. The relay only shows them. */
  readonly bankedResets?: number | undefined;
  /** Whether upstream offers Luna Reserve now. Undefined when it says nothing of it. */
  readonly isReserveOffered?: boolean | undefined;
  /** Which limit was reached, in upstream's word. */
  readonly reached: string | undefined;
  /** When upstream said so, in epoch milliseconds. */
  readonly seenAtMs: number;
}

/** The meter of the plan itself. */
const MAIN_METER = "codex";
/** The meter of a workspace's spending limit for its member, which all models count on. */
export const SPEND_METER = "spend";
/** Model that eligible accounts may go on with past their quota. */
export const RESERVE_MODEL = "gpt-reserve";

const WINDOW_KINDS = ["primary", "secondary", "monthly"] as const;

/** One window with its meter and its place there. */
export interface NamedWindow {
  readonly meter: PlanMeter;
  readonly kind: (typeof WINDOW_KINDS)[number];
  readonly window: PlanWindow;
}

/** All windows, those of the plan itself first. */
export function windowsOf(limits: PlanLimits): NamedWindow[] {
  const windows: NamedWindow[] = [];
  for (const meter of limits.meters) {
    for (const kind of WINDOW_KINDS) {
      const window = meter[kind];
      if (window) windows.push({ meter, kind, window });
    }
  }
  return windows;
}

const WINDOW_HEADER = /^x-codex-(?:(.+)-)?(primary|secondary|monthly)-used-percent$/;

/** From the headers of a reply, which count windows in minutes. Undefined when they say nothing. */
export function limitsFromHeaders(named: ReplyHeaders, nowMs: number): PlanLimits | undefined {
  const ids = meterIds(named);
  if (ids.size === 0) return undefined;
  const meters = Array.from(ids, (id) => headerMeter(named, id, nowMs));
  const hasCredits = named["x-codex-credits-has-credits"];
  return {
    plan: textOf(named["x-codex-plan-type"]),
    meters: mainFirst(meters),
    credits:
      hasCredits === undefined
        ? undefined
        : {
            hasCredits: isTrue(hasCredits),
            isUnlimited: isTrue(named["x-codex-credits-unlimited"]),
            balance: textOf(named["x-codex-credits-balance"]),
          },
    reached: textOf(named["x-codex-rate-limit-reached-type"]),
    seenAtMs: nowMs,
  };
}

/** All that the headers of a reply say of the plan, word for word: to tell whether two replies say the same. */
export function planWords(named: ReplyHeaders): string {
  let words = "";
  for (const name in named) {
    if (name.startsWith("x-codex-") && name !== TURN_STATE_HEADER) words += `${name}: ${named[name]}\n`;
  }
  return words;
}

/** Of the meters that have a window, undefined for the plan itself; in the order of their headers' names. */
function meterIds(named: ReplyHeaders): Set<string | undefined> {
  const names: string[] = [];
  for (const name in named) if (name.startsWith("x-codex-") && name.endsWith("-used-percent")) names.push(name);
  const ids = new Set<string | undefined>();
  for (const name of names.toSorted()) {
    const match = WINDOW_HEADER.exec(name);
    if (match) ids.add(match[1]);
  }
  return ids;
}

function headerMeter(named: ReplyHeaders, id: string | undefined, nowMs: number): PlanMeter {
  const names = id === undefined ? MAIN_NAMES : meterNames(`x-codex-${id}`);
  return {
    id: id === undefined ? MAIN_METER : id.replaceAll("-", "_"),
    name: id === undefined ? undefined : (textOf(named[names.name]) ?? id),
    primary: headerWindow(named, names.primary, nowMs),
    secondary: headerWindow(named, names.secondary, nowMs),
    monthly: headerWindow(named, names.monthly, nowMs),
    isReached: undefined,
  };
}

function headerWindow(named: ReplyHeaders, names: WindowNames, nowMs: number): PlanWindow | undefined {
  const usedPercent = numberOf(named[names.usedPercent]);
  if (usedPercent === undefined) return undefined;
  return {
    usedPercent,
    windowMinutes: numberOf(named[names.windowMinutes]),
    resetsAtMs: resetOf(numberOf(named[names.resetAt]), numberOf(named[names.resetAfter]), nowMs),
  };
}

type WindowNames = ReturnType<typeof windowNames>;

function meterNames(prefix: string) {
  return {
    name: `${prefix}-limit-name`,
    primary: windowNames(`${prefix}-primary`),
    secondary: windowNames(`${prefix}-secondary`),
    monthly: windowNames(`${prefix}-monthly`),
  };
}

function windowNames(prefix: string) {
  return {
    usedPercent: `${prefix}-used-percent`,
    windowMinutes: `${prefix}-window-minutes`,
    resetAt: `${prefix}-reset-at`,
    resetAfter: `${prefix}-reset-after-seconds`,
  };
}

/** Of the plan itself, which every reply has: made once, as to put a name together costs more than to look it up. */
const MAIN_NAMES = meterNames("x-codex");

/** The plan's own windows in the headers of a reply, for replies that have none of their own. */
export function headersFromLimits(limits: PlanLimits, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  const meter = limits.meters.find(({ id }) => id === MAIN_METER);
  for (const which of ["primary", "secondary"] as const) {
    const window = meter?.[which];
    if (!window) continue;
    const prefix = `x-codex-${which}`;
    headers[`${prefix}-used-percent`] = String(window.usedPercent);
    if (window.windowMinutes !== undefined) headers[`${prefix}-window-minutes`] = String(window.windowMinutes);
    if (window.resetsAtMs === undefined) continue;
    headers[`${prefix}-reset-at`] = String(Math.floor(window.resetsAtMs / 1000));
    headers[`${prefix}-reset-after-seconds`] = String(Math.max(0, Math.ceil((window.resetsAtMs - nowMs) / 1000)));
  }
  // Heard in a body, it may be what no header can carry.
  if (limits.plan !== undefined && /^[\x20-\x7e]+$/.test(limits.plan)) headers["x-codex-plan-type"] = limits.plan;
  return headers;
}

const bodySchema = lazily(() => {
  const count = z.coerce.number().nullish().catch(undefined);
  const word = z.string().nullish().catch(undefined);
  const flag = z.boolean().nullish().catch(undefined);
  const window = z
    .looseObject({
      used_percent: z.coerce.number(),
      window_minutes: count,
      limit_window_seconds: count,
      reset_after_seconds: count,
      reset_at: count,
    })
    .nullish()
    .catch(undefined);
  const rateLimit = z
    .looseObject({
      limit_reached: flag,
      primary: window,
      secondary: window,
      primary_window: window,
      secondary_window: window,
      monthly: window,
      monthly_window: window,
    })
    .nullish()
    .catch(undefined);
  return z.looseObject({
    plan_type: word,
    rate_limit: rateLimit,
    rate_limits: rateLimit,
    metered_limit_name: word,
    limit_name: word,
    additional_rate_limits: z
      .array(z.looseObject({ limit_name: word, metered_feature: word, normal_model_slug: word, rate_limit: rateLimit }))
      .nullish()
      .catch(undefined),
    credits: z
      .looseObject({
        has_credits: z.boolean(),
        unlimited: z.boolean().nullish(),
        balance: z.union([z.string(), z.number()]).nullish(),
      })
      .nullish()
      .catch(undefined),
    rate_limit_reached_type: z.unknown().optional(),
    // Business and Enterprise plans have this instead of windows; amounts are decimal texts.
    spend_control: z
      .looseObject({
        reached: flag,
        individual_limit: z
          .looseObject({
            limit: z.coerce.string().nullish(),
            used: z.coerce.string().nullish(),
            used_percent: count,
            remaining_percent: count,
            reset_at: count,
            reset_after_seconds: count,
            unit: word,
          })
          .nullish()
          .catch(undefined),
      })
      .nullish()
      .catch(undefined),
    rate_limit_reset_credits: z.looseObject({ available_count: count }).nullish().catch(undefined),
    rate_limit_upsell: z.looseObject({ banner_type: word }).nullish().catch(undefined),
  });
});
type Body = z.infer<ReturnType<typeof bodySchema>>;
type RateLimit = Body["rate_limit"];
type Window = NonNullable<RateLimit>["primary"];

/**
 * From the body of the usage endpoint, which counts windows in seconds, or from the event `codex.rate_limits`, which
 * counts them in minutes and has other names. Undefined when it says nothing of the plan's use.
 */
export function limitsFromBody(body: unknown, nowMs: number): PlanLimits | undefined {
  const parsed = bodySchema().safeParse(body);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  const name = data.metered_limit_name ?? data.limit_name ?? undefined;
  const main = meterOf(name === undefined ? MAIN_METER : idOf(name), name, data.rate_limit ?? data.rate_limits, nowMs);
  const others = (data.additional_rate_limits ?? []).map((extra) => {
    const id = extra.metered_feature ?? extra.limit_name ?? "other";
    const meter = meterOf(idOf(id), extra.limit_name ?? id, extra.rate_limit, nowMs);
    return meter && extra.normal_model_slug ? { ...meter, standsInFor: extra.normal_model_slug } : meter;
  });
  const spend = spendMeter(data.spend_control, nowMs);
  const meters = [main, spend, ...others].filter((meter) => meter !== undefined);
  const bankedResets = data.rate_limit_reset_credits?.available_count ?? undefined;
  if (meters.length === 0 && !data.credits && bankedResets === undefined) return undefined;
  return {
    plan: data.plan_type ?? undefined,
    meters: mainFirst(meters),
    credits: data.credits
      ? {
          hasCredits: data.credits.has_credits,
          isUnlimited: data.credits.unlimited === true,
          balance: data.credits.balance === null ? undefined : textOf(String(data.credits.balance ?? "")),
        }
      : undefined,
    bankedResets,
    isReserveOffered: data.rate_limit_upsell === undefined ? undefined : isReserve(data.rate_limit_upsell),
    reached:
      reachedOf(data.rate_limit_reached_type) ?? (data.spend_control?.reached === true ? SPEND_METER : undefined),
    seenAtMs: nowMs,
  };
}

function isReserve(upsell: { readonly banner_type?: string | null | undefined } | null): boolean {
  return upsell?.banner_type === "luna_reserve";
}

function spendMeter(spend: Body["spend_control"], nowMs: number): PlanMeter | undefined {
  const limit = spend?.individual_limit;
  if (!limit) return undefined;
  const ofAmounts = (Number(limit.used) / Number(limit.limit)) * 100;
  const remaining = limit.remaining_percent ?? undefined;
  const usedPercent = limit.used_percent ?? (remaining === undefined ? ofAmounts : 100 - remaining);
  if (!Number.isFinite(usedPercent)) return undefined;
  const resetsAtMs = resetOf(limit.reset_at ?? undefined, limit.reset_after_seconds ?? undefined, nowMs);
  return {
    id: SPEND_METER,
    name: "spending limit",
    primary: { usedPercent, windowMinutes: undefined, resetsAtMs },
    secondary: undefined,
    isReached: spend.reached ?? undefined,
    amount:
      limit.used && limit.limit ? { used: limit.used, limit: limit.limit, unit: limit.unit ?? undefined } : undefined,
  };
}

function meterOf(id: string, name: string | undefined, limit: RateLimit, nowMs: number): PlanMeter | undefined {
  if (!limit) return undefined;
  const window = (value: Window): PlanWindow | undefined => {
    if (!value) return undefined;
    const seconds = value.limit_window_seconds ?? undefined;
    return {
      usedPercent: value.used_percent,
      windowMinutes: value.window_minutes ?? (seconds === undefined ? undefined : seconds / 60),
      resetsAtMs: resetOf(value.reset_at ?? undefined, value.reset_after_seconds ?? undefined, nowMs),
    };
  };
  return {
    id,
    name,
    primary: window(limit.primary ?? limit.primary_window),
    secondary: window(limit.secondary ?? limit.secondary_window),
    monthly: window(limit.monthly ?? limit.monthly_window),
    isReached: limit.limit_reached ?? undefined,
  };
}

/** Older news with newer ones laid over them: what the newer ones do not speak of stays. */
export function mergeLimits(older: PlanLimits | undefined, newer: PlanLimits): PlanLimits {
  if (!older) return newer;
  const kept = older.meters.filter((meter) => newer.meters.every(({ id }) => id !== meter.id));
  return {
    ...newer,
    plan: newer.plan ?? older.plan,
    meters: mainFirst([...newer.meters, ...kept]),
    credits: newer.credits ?? older.credits,
    bankedResets: newer.bankedResets ?? older.bankedResets,
    isReserveOffered: newer.isReserveOffered ?? older.isReserveOffered,
  };
}

/** The meters that a model's requests count on: its own where it has one, else the plan's, and the spending limit. */
export function metersFor(limits: PlanLimits, model: string): PlanMeter[] {
  const named = limits.meters.find((meter) => meter.name === model);
  const own = named ?? limits.meters.find((meter) => meter.id === MAIN_METER);
  const spend = limits.meters.find((meter) => meter.id === SPEND_METER);
  return [own, spend].filter((meter) => meter !== undefined);
}

/** The meter of Luna Reserve, where the account has one that is not used up. */
export function reserveOf(limits: PlanLimits): PlanMeter | undefined {
  return limits.meters.find((meter) => meter.name === RESERVE_MODEL && meter.isReached !== true);
}

/** The window that is used most and has not ended yet; undefined when nothing is known. */
export function fullestWindow(meter: PlanMeter, nowMs: number): PlanWindow | undefined {
  return [meter.primary, meter.secondary, meter.monthly]
    .filter((window) => window !== undefined)
    .filter((window) => window.resetsAtMs === undefined || window.resetsAtMs > nowMs)
    .toSorted((a, b) => b.usedPercent - a.usedPercent)[0];
}

/** A window's length in words, as in `5 hours` or `week`. */
export function windowName(minutes: number | undefined): string {
  if (minutes === undefined) return "window";
  if (minutes === 10_080) return "week";
  if (minutes === 1440) return "day";
  if (minutes >= 40_320 && minutes <= 44_640) return "month";
  if (minutes % 1440 === 0) return `${minutes / 1440} days`;
  if (minutes % 60 === 0) return minutes === 60 ? "hour" : `${minutes / 60} hours`;
  return `${Math.round(minutes)} minutes`;
}

function mainFirst(meters: readonly PlanMeter[]): readonly PlanMeter[] {
  return meters.length < 2
    ? meters
    : meters.toSorted((a, b) => Number(b.id === MAIN_METER) - Number(a.id === MAIN_METER));
}

/** The moment if it is given, else the wait. Either may be empty or 0, which says nothing. */
function resetOf(atS: number | undefined, afterS: number | undefined, nowMs: number): number | undefined {
  if (atS) return validEpochMs(atS * 1000);
  return afterS === undefined ? undefined : validEpochMs(nowMs + afterS * 1000);
}

function idOf(name: string): string {
  return name.toLowerCase().replaceAll("-", "_");
}

function reachedOf(value: unknown): string | undefined {
  if (typeof value === "string") return textOf(value);
  const type = isObject(value) ? value["type"] : undefined;
  return typeof type === "string" ? textOf(type) : undefined;
}

function numberOf(text: string | undefined): number | undefined {
  const value = Number.parseFloat(text ?? "");
  return Number.isFinite(value) ? value : undefined;
}

function textOf(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === "" ? undefined : text;
}

/** Upstream writes `True` and `False`. */
function isTrue(text: string | undefined): boolean {
  return text?.toLowerCase() === "true";
}
