import type { Log, LogFields, LogLevel } from "../lib/log.ts";
import { printableJson } from "../lib/printable.ts";
import { redact } from "../lib/redact.ts";
import { hasColors } from "./output.ts";
import { stderr } from "./streams.ts";

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

/** Log lines on stderr: JSON for machines, consola with a reporter of our own for people. */
export async function createLog(options: LogOptions): Promise<AdjustableLog> {
  let { level: lowest } = options;
  let secrets = known(options.secrets);
  const now = options.now ?? Date.now;
  const show: Show = (text) => redact(text, secrets);
  const write = options.format === "json" ? jsonWriter(now, show) : await prettyWriter(now, show);
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

/** consola's number for the lowest level; ours decides what is written. */
const EVERY_LEVEL = 5;

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
    stderr().write(`${printableJson(JSON.stringify(line))}\n`);
  };
}

/** Only a log for people loads what lays its lines out. */
async function prettyWriter(now: () => number, show: Show): Promise<Write> {
  const [{ createConsola }, { logLine }] = await Promise.all([import("consola/core"), import("./log-line.ts")]);
  const isColored = hasColors(stderr());
  const consola = createConsola({
    level: EVERY_LEVEL,
    // Requests of one kind look alike, and each is somebody's.
    throttleMin: Number.POSITIVE_INFINITY,
    reporters: [{ log: ({ args: [line] }) => void stderr().write(`${show(String(line))}\n`) }],
  });
  return (level, message, fields) => {
    consola[level](logLine({ timeMs: now(), level, message, fields }, isColored));
  };
}
