import { grouped } from "../lib/grouped.ts";
import type { LogFields } from "../lib/log.ts";

/** A request's fields as one line for people: what was asked, how it ended, how long it took, what it cost. */
export function requestLine(fields: LogFields): string {
  return [
    [fields["method"], fields["route"], fields["status"], fields["code"]],
    [modelOf(fields), fields["effort"]],
    [duration(fields), fields["stream"] === true ? "streamed" : undefined],
    [tokens(fields)],
    [fields["finish"], fields["client_gone"] === true ? "client left" : undefined],
    [fields["adjusted"] === undefined ? undefined : `adjusted ${String(fields["adjusted"])}`],
    [fields["key"] === undefined ? undefined : `key ${String(fields["key"])}`],
    [fields["fallback"] === undefined ? undefined : `fallback ${String(fields["fallback"])}`],
    [fields["request_id"]],
  ]
    .map((words) => words.filter((word) => word !== undefined).join(" "))
    .filter((part) => part !== "")
    .join(" · ");
}

function modelOf({ model, model_asked: asked }: LogFields): string | undefined {
  if (model === undefined) return undefined;
  return asked === undefined || asked === model ? String(model) : `${String(asked)} → ${String(model)}`;
}

function duration({ total_ms: total, ttft_ms: first }: LogFields): string {
  return first === undefined ? span(total) : `${span(total)} (first ${span(first)})`;
}

function span(ms: LogFields[string]): string {
  const value = Number(ms ?? 0);
  return value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(1)} s`;
}

function tokens(fields: LogFields): string | undefined {
  if (fields["tokens_in"] === undefined) return undefined;
  const part = (name: string, word: string) => (fields[name] ? ` (${grouped(fields[name])} ${word})` : "");
  const whole = (name: string) => grouped(fields[name]);
  return `${whole("tokens_in")} in${cached(fields)}, ${whole("tokens_out")} out${part("tokens_reasoning", "reasoning")}`;
}

/** How much of the input the prompt cache had, and where the request left what the last one had put there. */
function cached({ tokens_in: all, tokens_cached: count, prefix_changed: part }: LogFields): string {
  const share = count ? `${Math.floor((100 * Number(count)) / Number(all))} % cached` : undefined;
  const words = [share, part === undefined ? undefined : `changed at ${String(part)}`].filter(Boolean);
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}
