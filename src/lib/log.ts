export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Extra facts of a log line. Never a token or key at any level, never a prompt or completion below `debug`. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where the relay talks to its owner. Writers live in `cli/`; everything below only gets this. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };
