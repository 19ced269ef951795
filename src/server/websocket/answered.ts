import { WireEvent } from "../../codex/wire/event.ts";
import { type InputItem, isItemList } from "../../codex/wire/request.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Frame } from "../../protocols/protocol.ts";

/** A finished answer. */
export interface Answered {
  readonly id: string;
  readonly items: readonly InputItem[];
}

/** How an event ends the reply, if it does; collects the answer's items in `output` until then. */
export function endIn(event: unknown, output: InputItem[]): Answered | "failed" | undefined {
  if (!isObject(event)) return undefined;
  const { type, item, response } = event;
  if (type === "response.output_item.done" && isObject(item)) output.push(item);
  if (type === "error" || type === "response.failed") return "failed";
  if (!isObject(response) || !/^response\.(completed|incomplete|done)$/.test(String(type))) return undefined;
  const told = response["output"];
  const whole = isItemList(told) && told.length > 0 ? told : output;
  return { id: typeof response["id"] === "string" ? response["id"] : "", items: whole };
}

/** The event in a frame, unless it is one of the many deltas, which are not parsed. */
export function eventOf(frame: Frame): unknown {
  if (frame instanceof WireEvent) return frame.isBulk ? undefined : frame.event;
  return frame.data;
}

/**
 * The event with the response that its own goes on from, as the client named it: where only the socket remembers that one,
 * the dialect was given the conversation in its place. Undefined where there is nothing to add.
 */
export function namingPrevious(event: unknown, previousId: string | undefined): JsonObject | undefined {
  if (previousId === undefined || !isObject(event) || !isObject(event["response"])) return undefined;
  const { response } = event;
  if (response["previous_response_id"] !== null) return undefined;
  return { ...event, response: { ...response, previous_response_id: previousId } };
}
