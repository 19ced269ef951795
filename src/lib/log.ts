export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Extra facts of a log line. Never a token or key at any level, never a prompt or completion below `debug`. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where the relay talks to its owner. Writers live in `cli/`; everything below only gets this. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** True when debug lines are written: what takes effort to gather is gathered only then. */
  readonly isDebug?: boolean;
}

/** Message of the line that every request gets at its end; writers for people lay its fields out. */
export const REQUEST_LINE = "request";

export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };
