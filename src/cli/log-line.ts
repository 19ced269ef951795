import { isObject, nonEmptyString, parseJson, type JsonObject } from "../lib/json.ts";
import { REQUEST_LINE, type LogFields, type LogLevel } from "../lib/log.ts";
import { printableLine } from "../lib/printable.ts";
import { requestLine } from "./request-line.ts";

/** One entry of the log. */
export interface LogEntry {
  readonly timeMs: number;
  readonly level: Exclude<LogLevel, "silent">;
  readonly message: string;
  readonly fields: LogFields;
}

/** SGR codes of ECMA-48: gray, default, yellow, red. */
const COLORS = { debug: 90, info: 39, warn: 33, error: 31 } as const;

/** An entry for people: local date and 24-hour time, level, and what happened. */
export function logLine({ timeMs, level, message, fields }: LogEntry, hasColors: boolean): string {
  const word = level.padEnd(5);
  const shown = hasColors ? `\u001b[${COLORS[level]}m${word}\u001b[0m` : word;
  return `${localTime(timeMs)} ${shown} ${printableLine(message === REQUEST_LINE ? requestLine(fields) : plain(message, fields))}`;
}

/** A line of a JSON log for people; other lines, such as a banner, stay as they are but for control characters. */
export function readableLine(line: string, hasColors: boolean): string {
  const value = parseJson(line);
  if (!isObject(value)) return printableLine(line);
  const { time, level, message, ...fields } = value;
  const timeMs = Date.parse(nonEmptyString(time) ?? "");
  const isKnown = level === "debug" || level === "info" || level === "warn" || level === "error";
  if (!isKnown || typeof message !== "string" || Number.isNaN(timeMs)) return printableLine(line);
  return logLine({ timeMs, level, message, fields: plainFields(fields) }, hasColors);
}

/** Nested values of a hand-edited or foreign line are shown as JSON. */
function plainFields(fields: JsonObject): LogFields {
  const shown = (value: unknown) =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? value
      : JSON.stringify(value);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, shown(value)]));
}

function plain(message: string, fields: LogFields): string {
  const facts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${String(value)}`);
  return [message, ...facts].join(" ");
}

/** `2026-03-14 09:05:07`. Not by Intl, whose tables cost megabytes. */
function localTime(timeMs: number): string {
  const at = new Date(timeMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
