import type { Log, LogFields } from "../../src/lib/log.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A log that keeps its lines. */
export function keepLines(isDebug = false): Log & { readonly lines: LogLine[]; readonly requests: () => LogFields[] } {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      if (isDebug || level !== "debug") lines.push({ level, message, fields });
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    isDebug,
    lines,
    requests: () => lines.filter(({ message }) => message === "request").map(({ fields }) => fields),
  };
}
