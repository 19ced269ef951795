import { REQUEST_LINE, type Log, type LogFields, type LogLevel } from "../lib/log.ts";
import { redact } from "../lib/redact.ts";

const ORDER: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  /** Never written, wherever they turn up. */
  readonly secrets?: readonly (string | undefined)[];
  readonly now?: () => number;
}

/** A log whose level and secrets may change while it is written. */
export interface AdjustableLog extends Log {
  adjust(options: Pick<LogOptions, "level" | "secrets">): void;
}

/** Log lines on stderr: JSON for machines, consola for people. */
export async function createLog(options: LogOptions): Promise<AdjustableLog> {
  let { level: lowest } = options;
  let secrets = known(options.secrets);
  const show: Show = (text) => redact(text, secrets);
  const write = options.format === "json" ? jsonWriter(options.now ?? Date.now, show) : await prettyWriter(show);
  const at =
    (level: Exclude<LogLevel, "silent">) =>
    (message: string, fields: LogFields = {}) => {
      if (ORDER.indexOf(level) >= ORDER.indexOf(lowest)) write(level, message, fields);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    get isDebug() {
      return lowest === "debug";
    },
    adjust(next) {
      lowest = next.level;
      secrets = known(next.secrets);
    },
  };
}

/** Said wherever the level becomes `debug`. */
export function warnOfText(log: Log): void {
  if (!log.isDebug) return;
  log.warn("At this level the log holds what is asked and answered. Use it only where nobody else reads it.");
}

type Show = (text: string) => string;
type Write = (level: Exclude<LogLevel, "silent">, message: string, fields: LogFields) => void;

function known(secrets: LogOptions["secrets"] = []): string[] {
  return secrets.filter((secret) => secret !== undefined);
}

function jsonWriter(now: () => number, show: Show): Write {
  return (level, message, fields) => {
    const shown = Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? show(value) : value,
    ]);
    const line = { time: new Date(now()).toISOString(), level, message: show(message), ...Object.fromEntries(shown) };
    process.stderr.write(`${escaped(JSON.stringify(line))}\n`);
  };
}

/** consola costs as much start time as everything else together, so only a terminal pays for it. */
async function prettyWriter(show: Show): Promise<Write> {
  const [{ createConsola }, { requestLine }] = await Promise.all([import("consola"), import("./request-line.ts")]);
  const consola = createConsola({ level: 5, stdout: process.stderr, stderr: process.stderr });
  return (level, message, fields) => {
    if (message === REQUEST_LINE) {
      consola[level](printable(show(requestLine(fields))));
      return;
    }
    const facts = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${String(value)}`);
    consola[level](printable(show([message, ...facts].join(" "))));
  };
}

/** Controls of both ranges, line separators, and the marks that turn the direction of writing. */
// eslint-disable-next-line no-control-regex -- control characters are exactly what is meant
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A log line must not move the cursor, forge another line or read backwards. */
function printable(text: string): string {
  return text.replace(UNSEEN, " ");
}

/** JSON escapes only the first range by itself. */
function escaped(json: string): string {
  return json.replace(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
