import { readClaims } from "../../auth/jwt.ts";
import { paceOf } from "../../codex/pace.ts";
import {
  RESERVE_MODEL,
  windowName,
  windowsOf,
  type NamedWindow,
  type PlanLimits,
  type PlanWindow,
} from "../../codex/plan-limits.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString } from "../../lib/json.ts";
import { moment, span } from "../../lib/time.ts";
import { PAGE_HINT } from "../../lib/web-page.ts";
import { BACKEND_NEEDS, type ParsedFlags } from "../flags.ts";
import { isScreen, print, printJson } from "../output.ts";
import { openServices, type Services } from "../services.ts";
import { stdout } from "../streams.ts";
import { padded, widestOf } from "../wrap.ts";

const TIMEOUT_MS = 15_000;
const BAR_CELLS = 24;

/** Prints how full the plan is, once or again after each pause until it is stopped. Throws RelayError. */
export async function usagePlan(flags: ParsedFlags, everyMs: number | undefined): Promise<number> {
  const services = await openServices(flags.settings, process.env, { judgment: { needs: BACKEND_NEEDS } });
  const isJson = flags.own["json"] === true;
  for (;;) {
    const seen = await readUsage(services);
    if (everyMs !== undefined && !isJson && isScreen(stdout())) stdout().write("\u001b[2J\u001b[H");
    // A watcher reads one object a line.
    if (isJson) printJson(asJson(seen, Date.now()), everyMs !== undefined);
    else print(drawing(seen, Date.now()));
    if (everyMs === undefined) return 0;
    await Bun.sleep(everyMs);
  }
}

interface Seen {
  readonly limits: PlanLimits;
  readonly email: string | undefined;
}

async function readUsage(services: Services): Promise<Seen> {
  // A renewal of the login has a limit and words of its own.
  const { accessToken } = await services.credentials.current();
  const { body, limits } = await askedInTime(services);
  if (!isObject(body)) {
    const { host } = new URL(services.settings.baseUrl);
    throw new RelayError("upstream_error", `${host} answered with something other than JSON, such as a web page.`, {
      hint: PAGE_HINT,
    });
  }
  if (!limits) {
    throw new RelayError("upstream_error", "The backend answered without the plan's windows.", {
      hint: "Look at ChatGPT's settings under Usage; `plansocket doctor` checks the rest.",
    });
  }
  return { limits, email: nonEmptyString(body["email"]) ?? readClaims(accessToken).email };
}

async function askedInTime({
  upstream,
  settings,
}: Services): Promise<{ body: unknown; limits: PlanLimits | undefined }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await upstream.usage(signal);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    const { host } = new URL(settings.baseUrl);
    throw new RelayError("upstream_timeout", `${host} did not answer within ${TIMEOUT_MS / 1000} seconds.`, {
      hint: "Check your network; `plansocket doctor` looks further.",
      cause: thrown,
    });
  }
}

/** For people: a bar for each window. */
export function drawing({ limits, email }: Seen, nowMs: number): string {
  const whose = [email, limits.plan === undefined ? undefined : `plan ${limits.plan}`].filter(Boolean).join(", ");
  const rows = windowsOf(limits).map((named) => ({
    name: nameOf(named),
    bar: bar(named.window.usedPercent),
    used: `${percent(named.window)} %`,
    pace: paceText(named.window, nowMs),
    rest: [amountOf(named), resetsIn(named.window, nowMs)].filter(Boolean).join(", "),
  }));
  const nameWidth = widestOf(rows.map((row) => row.name));
  const usedWidth = Math.max(0, ...rows.map((row) => row.used.length));
  return [
    ...(whose === "" ? [] : [whose]),
    ...rows.flatMap((row) => [
      `${padded(row.name, nameWidth)}  ${row.bar}  ${row.used.padStart(usedWidth)} used  ${row.rest}`.trimEnd(),
      ...(row.pace === "" ? [] : [`${" ".repeat(nameWidth)}  ${row.pace}`]),
    ]),
    ...creditsLine(limits),
    ...resetsLine(limits),
    ...reserveLine(limits),
    ...(isReached(limits) ? ["A limit is reached: requests are refused until it resets."] : []),
  ].join("\n");
}

/** For scripts; moments in ISO 8601. */
export function asJson({ limits, email }: Seen, nowMs: number) {
  return {
    plan: limits.plan ?? null,
    email: email ?? null,
    limit_reached: isReached(limits),
    windows: windowsOf(limits).map(({ meter, kind, window }) => ({
      meter: meter.id,
      name: meter.name ?? null,
      kind,
      amount: meter.amount ? { ...meter.amount, unit: meter.amount.unit ?? null } : null,
      stands_in_for: meter.standsInFor ?? null,
      window_minutes: window.windowMinutes ?? null,
      used_percent: window.usedPercent,
      resets_at: window.resetsAtMs === undefined ? null : new Date(window.resetsAtMs).toISOString(),
      resets_in_seconds:
        window.resetsAtMs === undefined ? null : Math.max(0, Math.round((window.resetsAtMs - nowMs) / 1000)),
      ...paceJson(window, nowMs),
    })),
    credits: limits.credits
      ? {
          has_credits: limits.credits.hasCredits,
          unlimited: limits.credits.isUnlimited,
          balance: limits.credits.balance ?? null,
        }
      : null,
    banked_resets: limits.bankedResets ?? null,
    reserve_offered: limits.isReserveOffered ?? null,
    seen_at: new Date(limits.seenAtMs).toISOString(),
  };
}

function nameOf({ meter, window }: NamedWindow): string {
  const model = meter.name === RESERVE_MODEL ? `Luna Reserve (${RESERVE_MODEL})` : meter.name;
  const length =
    window.windowMinutes === undefined && model !== undefined ? undefined : windowName(window.windowMinutes);
  return [model, length].filter(Boolean).join(", ");
}

/** Of a spending limit, as in `12.50 of 50 credit`. */
function amountOf({ meter: { amount } }: NamedWindow): string {
  return amount ? `${amount.used} of ${amount.limit}${amount.unit === undefined ? "" : ` ${amount.unit}`}` : "";
}

function isReached(limits: PlanLimits): boolean {
  return limits.reached !== undefined || limits.meters.some((meter) => meter.isReached === true);
}

function bar(usedPercent: number): string {
  const filled = Math.min(BAR_CELLS, Math.max(0, Math.round((usedPercent / 100) * BAR_CELLS)));
  return "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
}

function percent({ usedPercent }: PlanWindow): string {
  return Number.isInteger(usedPercent) ? String(usedPercent) : usedPercent.toFixed(1);
}

function resetsIn({ resetsAtMs }: PlanWindow, nowMs: number): string {
  if (resetsAtMs === undefined) return "";
  if (resetsAtMs <= nowMs) return "has reset since";
  return `resets ${moment(resetsAtMs, nowMs)} (in ${span(resetsAtMs - nowMs)})`;
}

/** For a window that does not last at its pace, as in `at this rate full Thu 26 Nov 14:00, 2 d 3 h before it resets`. */
function paceText(window: PlanWindow, nowMs: number): string {
  const fullAtMs = window.usedPercent >= 100 ? undefined : paceOf(window, nowMs)?.fullAtMs;
  if (fullAtMs === undefined || window.resetsAtMs === undefined) return "";
  return `at this rate full ${moment(fullAtMs, nowMs)}, ${span(window.resetsAtMs - fullAtMs)} before it resets`;
}

function paceJson(window: PlanWindow, nowMs: number) {
  const pace = paceOf(window, nowMs);
  return {
    full_at: pace?.fullAtMs === undefined ? null : new Date(pace.fullAtMs).toISOString(),
    percent_at_reset: pace === undefined ? null : Math.round(pace.percentAtReset * 10) / 10,
  };
}

function creditsLine({ credits }: PlanLimits): string[] {
  if (!credits || (!credits.hasCredits && !credits.isUnlimited)) return [];
  return [`credits: ${credits.isUnlimited ? "unlimited" : (credits.balance ?? "some")}`];
}

function resetsLine({ bankedResets }: PlanLimits): string[] {
  if (bankedResets === undefined || bankedResets <= 0) return [];
  return [`banked resets: ${bankedResets} (use them in ChatGPT or the Codex CLI; the relay never does)`];
}

function reserveLine({ isReserveOffered, meters }: PlanLimits): string[] {
  if (isReserveOffered !== true) return [];
  const instead = meters.find(({ name }) => name === RESERVE_MODEL)?.standsInFor;
  return [
    `Luna Reserve is offered: ask for ${RESERVE_MODEL}${instead === undefined ? "" : ` in place of ${instead}`}.`,
  ];
}
