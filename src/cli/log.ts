import type { Log, LogFields, LogLevel } from "../lib/log.ts";

const ORDER: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  readonly now?: () => number;
}

/** Log lines on stderr: JSON for machines, consola for people. */
export async function createLog(options: LogOptions): Promise<Log> {
  const write = options.format === "json" ? jsonWriter(options.now ?? Date.now) : await prettyWriter();
  const lowest = ORDER.indexOf(options.level);
  const at =
    (level: Exclude<LogLevel, "silent">) =>
    (message: string, fields: LogFields = {}) => {
      if (ORDER.indexOf(level) >= lowest) write(level, message, fields);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

type Write = (level: Exclude<LogLevel, "silent">, message: string, fields: LogFields) => void;

function jsonWriter(now: () => number): Write {
  return (level, message, fields) => {
    process.stderr.write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, message, ...fields })}\n`);
  };
}

/** consola costs as much start time as everything else together, so only a terminal pays for it. */
async function prettyWriter(): Promise<Write> {
  const { createConsola } = await import("consola");
  const consola = createConsola({ level: 5, stdout: process.stderr, stderr: process.stderr });
  return (level, message, fields) => {
    const facts = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${printable(String(value))}`);
    consola[level](facts.length > 0 ? `${printable(message)} ${facts.join(" ")}` : printable(message));
  };
}

/** No control characters: a log line must not move the cursor or forge another line. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is meant
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}
