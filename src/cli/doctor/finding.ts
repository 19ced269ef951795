import { printableLine } from "../../lib/printable.ts";
import { toRelayError } from "../../lib/errors.ts";
import { expectedFailure } from "../expected-failure.ts";

type Status = "ok" | "warn" | "fail" | "skip";

/** What one check found. */
export interface Finding {
  /** For scripts: stays the same whatever was found. */
  readonly id: string;
  readonly status: Status;
  /** One sentence or phrase for people, without secrets. */
  readonly summary: string;
  /** What to do about it; absent when all is well. */
  readonly fix?: string;
  /** The facts behind the summary, for scripts; no secrets here either. */
  readonly detail?: Detail;
}

export type Detail = Readonly<Record<string, unknown>>;

/** What a check returns; its id comes with the check. */
export type Outcome = Omit<Finding, "id">;

export const ok = (summary: string, detail?: Detail): Outcome => ({ status: "ok", summary, ...withDetail(detail) });
export const skip = (summary: string): Outcome => ({ status: "skip", summary });
export const warn = (summary: string, fix: string, detail?: Detail): Outcome => ({
  status: "warn",
  summary,
  fix,
  ...withDetail(detail),
});
export const fail = (summary: string, fix: string, detail?: Detail): Outcome => ({
  status: "fail",
  summary,
  fix,
  ...withDetail(detail),
});

function withDetail(detail: Detail | undefined): { detail?: Detail } {
  return detail === undefined ? {} : { detail };
}

export interface Limits {
  /** After it the check's signal is aborted. */
  readonly limitMs?: number;
  /** For what goes on all the same: a login that is just being renewed must be saved, or it is lost. */
  readonly leewayMs?: number;
  /** What to say then. */
  readonly late?: Outcome;
}

/** No check may hang the others. */
const LIMIT_MS = 10_000;
const LEEWAY_MS = 1000;
/** The keeper asks for 18 seconds, and waits for another process for two more. */
export const RENEWAL_MS = 40_000;

/** Runs one check; whatever it throws is a failure with its own words. */
export async function check(
  id: string,
  run: (signal: AbortSignal) => Promise<Outcome> | Outcome,
  limits: Limits = {},
): Promise<Finding> {
  const { limitMs = LIMIT_MS, leewayMs = LEEWAY_MS } = limits;
  const late = limits.late ?? noAnswer("There was no answer", limitMs);
  const limit = new AbortController();
  const end = Promise.withResolvers<Outcome>();
  const timers = [
    setTimeout(() => limit.abort(), limitMs),
    setTimeout(() => end.resolve(late), limitMs + leewayMs),
  ] as const;
  try {
    return clean({ id, ...(await Promise.race([run(limit.signal), end.promise])) });
  } catch (thrown) {
    return clean({ id, ...(limit.signal.aborted && !isLoginError(thrown) ? late : refusal(thrown)) });
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

/** For a check that met silence; `who` begins the sentence. */
export function noAnswer(
  who: string,
  limitMs = LIMIT_MS,
  fix = "Check your network; behind a corporate proxy set --proxy.",
): Outcome {
  return fail(`${who} within ${Math.round(limitMs / 1000)} seconds.`, fix);
}

/** A login that turned out dead is told as that, however long it took. */
function isLoginError(thrown: unknown): boolean {
  return toRelayError(thrown).code === "codex_auth_required";
}

function refusal(thrown: unknown): Outcome {
  const error = toRelayError(thrown);
  const expected = error.code === "internal_error" ? expectedFailure(error.cause) : error;
  if (expected) return fail(expected.message, expected.hint ?? "Try again in a moment.");
  const cause = error.cause instanceof Error ? error.cause.message : "unknown";
  return fail(`The check itself failed: ${cause}`, "This is a bug in the relay; please report it.");
}

/** Tokens and keys in any text that a stranger gave us, as a backend that repeats the request's headers. */
const SECRET = /\beyJ[\w-]{8,}(?:\.[\w-]*)*|\b(?:rt_|sk-)[\w-]{6,}/g;
const LONGEST = 1000;

function clean(finding: Finding): Finding {
  const { fix } = finding;
  return { ...finding, summary: plain(finding.summary), ...(fix === undefined ? {} : { fix: plain(fix) }) };
}

/** One line, bounded, without control characters, marks that turn the writing round, and secrets. */
function plain(text: string): string {
  return printableLine(text).trim().replace(SECRET, "[hidden]").slice(0, LONGEST);
}

/** As long as the longest id, `live completions`. */
const ID_WIDTH = 16;

const MARKS: Readonly<Record<Status, { readonly sign: string; readonly color: number }>> = {
  ok: { sign: "✓", color: 32 },
  warn: { sign: "!", color: 33 },
  fail: { sign: "✗", color: 31 },
  skip: { sign: "-", color: 90 },
};

/** One finding as lines for the terminal. */
export function lines(finding: Finding, isColored: boolean): string {
  const { sign, color } = MARKS[finding.status];
  const mark = isColored ? `\u001b[${color}m${sign}\u001b[0m` : sign;
  const head = `${mark} ${finding.id.padEnd(ID_WIDTH)} ${finding.summary}`;
  return finding.fix === undefined ? head : `${head}\n${" ".repeat(ID_WIDTH + 3)}${finding.fix}`;
}

/** The count, and the one thing to do next. */
export function closing(findings: readonly Finding[]): string {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  const warnings = count("warn");
  const skipped = count("skip");
  const total = [
    `${count("ok")} ok`,
    `${warnings} ${warnings === 1 ? "warning" : "warnings"}`,
    `${count("fail")} failed`,
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ].join(", ");
  const first = findings.find(({ status }) => status === "fail") ?? findings.find(({ status }) => status === "warn");
  return first?.fix === undefined ? total : `${total}\nNext: ${first.fix}`;
}
