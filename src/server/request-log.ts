import { REQUEST_LINE, type Log, type LogFields } from "../lib/log.ts";
import type { RequestRecord } from "./record.ts";

/** Beyond this a prompt or an answer is cut in the debug log. In characters. */
const LONGEST_TEXT = 64 * 1024;
/** Client's own words are shown this far. In characters. */
const LONGEST_NAME = 100;
const LONGEST_PATH = 200;
const LONGEST_LIST = 500;
const MOST_NAMES = 100;

/** One line for a request that has ended; at `debug` also what was asked and answered. */
export function logRequest(record: RequestRecord, log: Log): void {
  const hasFailed = (record.errorStatus ?? record.status) >= 500;
  const level = record.isProbe ? "debug" : hasFailed ? "warn" : "info";
  log[level](REQUEST_LINE, requestFields(record));
  const { conversation } = record;
  if (!conversation) return;
  const { instructions, input } = conversation.asked;
  log.debug("prompt", { request_id: record.requestId, text: textOf({ instructions, input }) });
  log.debug("completion", { request_id: record.requestId, text: textOf(conversation.answered) });
}

/** The facts of a request, flat, in the order in which people ask for them. */
function requestFields(record: RequestRecord): LogFields {
  const { start, tokens } = record;
  return {
    method: start.method.slice(0, LONGEST_NAME),
    route: start.route ?? start.path.slice(0, LONGEST_PATH),
    status: record.status,
    code: record.code?.slice(0, LONGEST_NAME),
    dialect: record.dialect,
    key: record.key,
    address: record.address?.slice(0, LONGEST_NAME),
    model_asked: record.modelAsked?.slice(0, LONGEST_NAME),
    model: record.model?.slice(0, LONGEST_NAME),
    effort: record.effort?.slice(0, LONGEST_NAME),
    stream: record.isStream,
    ttft_ms: record.firstTokenMs === undefined ? undefined : Math.round(record.firstTokenMs),
    total_ms: Math.round(record.totalMs),
    tokens_in: tokens?.input,
    tokens_cached: tokens?.cached,
    tokens_out: tokens?.output,
    tokens_reasoning: tokens?.reasoning,
    prefix_changed: record.prefixDeparture,
    adjusted: adjustedText(record),
    fallback: record.fallback?.slice(0, LONGEST_NAME),
    finish: record.finish,
    client_gone: record.hasClientLeft ? true : undefined,
    request_id: record.requestId.slice(0, LONGEST_NAME),
  };
}

/** Of tools only which: what the properties of their schemas are called is their client's business. */
export function adjustedNames({ adjusted }: Pick<RequestRecord, "adjusted">): string[] {
  if (adjusted.length === 0) return [];
  const names = adjusted.map((name) => name.replace(/(?<=\.parameters)\..*$/s, "").slice(0, LONGEST_LIST));
  return [...new Set(names)].toSorted().slice(0, MOST_NAMES);
}

function adjustedText(record: RequestRecord): string | undefined {
  const names = adjustedNames(record);
  return names.length > 0 ? names.join(",").slice(0, LONGEST_LIST) : undefined;
}

/** As JSON, without what nobody can read in a log: pictures, files and encrypted reasoning. */
function textOf(value: unknown): string {
  const text = JSON.stringify(value, (key, part: unknown) => {
    if (key === "encrypted_content") return undefined;
    if (typeof part !== "string" || part.length <= LONGEST_NAME) return part;
    const isFile = /^data:[a-z0-9.+/-]+;base64,/i.exec(part);
    return isFile || key === "result" || key === "file_data"
      ? `${part.slice(0, 40)}… (${part.length} characters)`
      : part;
  });
  return text.length <= LONGEST_TEXT
    ? text
    : `${text.slice(0, LONGEST_TEXT)}… (${text.length - LONGEST_TEXT} characters more)`;
}
