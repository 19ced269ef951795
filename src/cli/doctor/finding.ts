import { toRelayError } from "../../lib/errors.ts";

export type Status = "ok" | "warn" | "fail" | "skip";

/** What one check found. */
export interface Finding {
  /** For scripts: stays the same whatever was found. */
  readonly id: string;
  readonly status: Status;
  /** One sentence or phrase for people, without secrets. */
  readonly summary: string;
  /** What to do about it; absent when all is well. */
  readonly fix?: string;
}

/** What a check returns; its id comes with the check. */
export type Outcome = Omit<Finding, "id">;

export const ok = (summary: string): Outcome => ({ status: "ok", summary });
export const skip = (summary: string): Outcome => ({ status: "skip", summary });
export const warn = (summary: string, fix: string): Outcome => ({ status: "warn", summary, fix });
export const fail = (summary: string, fix: string): Outcome => ({ status: "fail", summary, fix });

/** No check may hang the others. */
const LIMIT_MS = 20_000;

/** Runs one check; whatever it throws is a failure with its own words. */
export async function check(
  id: string,
  run: (signal: AbortSignal) => Promise<Outcome> | Outcome,
  limitMs = LIMIT_MS,
): Promise<Finding> {
  const limit = new AbortController();
  const late = Promise.withResolvers<Outcome>();
  const timer = setTimeout(() => {
    limit.abort();
    const seconds = Math.round(limitMs / 1000);
    late.resolve(fail(`There was no answer within ${seconds} seconds.`, "Check your network, or set --proxy."));
  }, limitMs);
  try {
    return { id, ...(await Promise.race([run(limit.signal), late.promise])) };
  } catch (thrown) {
    const error = toRelayError(thrown);
    const isOurs = error.code === "internal_error";
    const cause = error.cause instanceof Error ? error.cause.message : "unknown";
    return {
      id,
      ...fail(
        isOurs ? `The check itself failed: ${cause}` : error.message,
        error.hint ?? (isOurs ? "This is a bug in the relay; please report it." : "Try again in a moment."),
      ),
    };
  } finally {
    clearTimeout(timer);
  }
}

/** As long as the longest id, `live responses`. */
const ID_WIDTH = 14;

const MARKS: Readonly<Record<Status, { readonly sign: string; readonly colour: number }>> = {
  ok: { sign: "✓", colour: 32 },
  warn: { sign: "!", colour: 33 },
  fail: { sign: "✗", colour: 31 },
  skip: { sign: "-", colour: 90 },
};

/** One finding as lines for the terminal. */
export function lines(finding: Finding, isColoured: boolean): string {
  const { sign, colour } = MARKS[finding.status];
  const mark = isColoured ? `\u001b[${colour}m${sign}\u001b[0m` : sign;
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
