import { type SettingName, SETTING_NAMES } from "../../config/settings.ts";
import type { Environment } from "../../lib/environment.ts";
import { toRelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { SILENT_LOG } from "../../lib/log.ts";
import { callRelay } from "../call-relay.ts";
import { ownTls } from "../own-relay.ts";
import { asJson as planAsJson, drawing } from "../usage/plan.ts";
import { openServices, type Services } from "../services.ts";
import { shownSettings, type ShownSetting } from "../settings-view.ts";
import { settingsOfLastStart, settingsOfRelay, type BackgroundContext } from "./context.ts";
import type { ExplicitSettings } from "./explicit-settings.ts";
import type { Probe } from "./probe.ts";
import { stdout } from "../streams.ts";
import { columnsOf } from "../wrap.ts";
import { tilde } from "./messages.ts";

const METRICS_MS = 2000;
/** The backend's word on the plan is worth a short wait, not a long one. */
const PLAN_MS = 5000;
/** Columns for a setting's value. */
const WIDEST = 50;

/** All that `status --verbose` knows of a running relay: as data, and as lines for people. */
export interface Details {
  readonly settings: Readonly<Record<string, { readonly value: unknown; readonly origin: string }>>;
  readonly login: Readonly<Record<string, unknown>> | null;
  readonly plan: unknown;
  /** What the relay counts, in its own words; null when it counts nothing. */
  readonly metrics: unknown;
  readonly lines: readonly string[];
}

export async function detailsOf(
  context: BackgroundContext,
  seen: Extract<Probe, { kind: "running" }>,
): Promise<Details> {
  const given = await settingsOfLastStart(context, context.state);
  const { loaded, env } = await settingsOfRelay(context, given);
  const metrics = metricsAt(seen.url, given.apiKey?.value ?? loaded.settings.apiKey, ownTls(loaded.settings));
  const account = await accountOf(context, env);
  const settings = settingsOf(loaded, given);
  const counted = await metrics;
  return {
    settings: Object.fromEntries(settings.map(({ key, value, origin }) => [key, { value, origin }] as const)),
    ...account,
    metrics: counted ?? null,
    lines: [
      ...account.lines,
      ...(counted === undefined ? [] : ["requests", ...metricsLines(counted)]),
      "settings",
      ...settingsLines(settings),
    ],
  };
}

/** The settings of the running relay. It got them by environment; shown is where its owner had set them. */
function settingsOf(
  { settings, origins }: Pick<Services, "settings" | "origins">,
  given: ExplicitSettings,
): ShownSetting[] {
  const shownOrigins = SETTING_NAMES.map((name) => {
    const isOwnPlace = OWN_PLACES.includes(name) && given[name] === undefined;
    return [name, isOwnPlace ? "default" : (given[name]?.origin ?? origins[name])] as const;
  });
  return shownSettings({ settings, origins: { ...origins, ...Object.fromEntries(shownOrigins) } });
}

/** Every background relay is handed these, whether or not anybody has chosen them. */
const OWN_PLACES: readonly SettingName[] = ["stateDir", "stateFile", "pidFile", "logFile"];

function settingsLines(rows: readonly ShownSetting[]): string[] {
  const width = (column: "key" | "text") => Math.min(WIDEST, Math.max(...rows.map((row) => row[column].length)));
  const isNarrow = stdout().isTTY && columnsOf(stdout()) < width("key") + width("text") + 16;
  return rows.map(({ key, text, origin }) => {
    // Instructions can be a page long.
    const short = tilde(text);
    const shown = short.length > WIDEST ? `${short.slice(0, WIDEST - 1)}…` : short;
    const wide = `  ${key.padEnd(width("key"))}  ${shown.padEnd(width("text"))}  ${origin}`;
    if (!isNarrow) return wide;
    // No room for a third column: then only what somebody has set is told apart.
    return `  ${key.padEnd(width("key"))}  ${shown}${origin === "default" ? "" : ` (${origin})`}`;
  });
}

/** Whose login the relay of the last start uses, else the one that a relay started now would use; with the plan. */
export async function accountOf(
  context: BackgroundContext,
  env: Environment,
): Promise<Pick<Details, "login" | "plan" | "lines">> {
  const { state } = context;
  if (state?.command === "demo")
    return { login: null, plan: null, lines: ["  login     none: it runs against the built-in backend"] };
  if (state && state.login_variables.length > 0) {
    const from = state.login_variables.join(", ");
    return { login: { source: from }, plan: null, lines: [`  login     from the environment of its start (${from})`] };
  }
  try {
    const { judgment } = context;
    const services = await openServices({}, env, { log: SILENT_LOG, ...(judgment ? { judgment } : {}) });
    const { kind, email, plan, source } = await services.credentials.describe();
    const login = { mode: kind, email: email ?? null, plan: plan ?? null, source };
    if (kind === "api-key") return { login, plan: null, lines: [`  login     OpenAI API key (${source})`] };
    const who = [email, plan && `plan ${plan}`].filter(Boolean).join(", ") || "ChatGPT";
    const windows = await planOf(services);
    return { login, plan: windows.plan, lines: [`  login     ${who} (${source})`, ...windows.lines] };
  } catch (thrown) {
    const error = toRelayError(thrown);
    return { login: null, plan: null, lines: [`  login     ${error.explanation}`] };
  }
}

/** The plan's windows when the backend tells them now; their lack is no failure of the relay. */
async function planOf(services: Services): Promise<{ plan: unknown; lines: string[] }> {
  const { limits } = await services.upstream.usage(AbortSignal.timeout(PLAN_MS)).catch(() => ({ limits: undefined }));
  if (!limits) return { plan: null, lines: [] };
  const now = Date.now();
  // The first line of the drawing names the plan, which the login's line has done.
  const rows = drawing({ limits: { ...limits, plan: undefined }, email: undefined }, now).split("\n");
  return { plan: planAsJson({ limits, email: undefined }, now), lines: rows.map((row) => `  ${row}`) };
}

/** What the relay itself counts. Undefined when it reports none. */
async function metricsAt(url: string, apiKey: string | undefined, tls: object): Promise<unknown> {
  try {
    const reply = await callRelay(url, "/metrics", {
      ...tls,
      headers: {
        accept: "application/json",
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      signal: AbortSignal.timeout(METRICS_MS),
    });
    return reply.ok ? await reply.json() : undefined;
  } catch {
    return undefined;
  }
}

/** Whatever is counted, by its own name: numbers in a row, groups of numbers in one line. */
function metricsLines(metrics: unknown): string[] {
  if (!isObject(metrics)) return [];
  const rows = Object.entries(metrics).map(([name, value]) => [name.replaceAll("_", " "), groupText(value)] as const);
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
}

function groupText(value: unknown): string {
  if (Array.isArray(value)) return value.map(groupText).join(value.some(isObject) ? "; " : ", ") || "none";
  if (!isObject(value)) return String(value);
  const parts = Object.entries(value).map(([name, part]) =>
    isObject(part) || Array.isArray(part) ? `${name} (${groupText(part)})` : `${name} ${String(part)}`,
  );
  return parts.join(", ") || "none";
}
