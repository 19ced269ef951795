import { inputItems } from "../../codex/request/build.ts";
import type { Stored } from "../../codex/response-store.ts";
import { type InputItem, isItemList } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Context } from "../protocol.ts";
import type { ResponsesRequest } from "./schema.ts";

/** A request's conversation: what the relay remembers of it, and what this request adds. */
export interface History {
  readonly earlier: readonly InputItem[];
  readonly added: readonly InputItem[];
}

/**
 * Everything that the client refers to, in full: the backend stores nothing and looks nothing up. Throws
 * `previous_response_not_found`, `invalid_value` for items and calls that lead nowhere, and what `reserve` throws.
 */
export function historyOf(request: ResponsesRequest, context: Context): History {
  const added = inputItems(request.input).map((item, index) => resolved(item, index, context));
  const id = request.previous_response_id;
  if (!id) return { earlier: [], added };
  const stored = context.responses.conversation(id, context.now);
  if (!stored) {
    throw new RelayError("previous_response_not_found", `Previous response with id '${id.slice(0, 100)}' not found.`, {
      param: "previous_response_id",
      hint: "The relay remembers responses for an hour, in memory; send the whole conversation in 'input'.",
    });
  }
  context.reserve(stored.size);
  const earlier = stored.value();
  refuseUnanswered(earlier, added);
  return { earlier, added };
}

/** What a reply needs of its request: the conversation only where it is going to be remembered. */
export function replyPart(request: ResponsesRequest): ResponsesRequest {
  return request["store"] === false ? { ...request, input: [] } : request;
}

/**
 * Keeps a finished response for later requests, unless its client asked not to. Never throws: the answer is there, and
 * what it referred to may have been forgotten meanwhile.
 */
export function remember(request: ResponsesRequest, context: Context, response: JsonObject): void {
  const { id, output, status } = response;
  if (request["store"] === false || typeof id !== "string" || !isItemList(output)) return;
  if (status !== "completed" && status !== "incomplete") return;
  const input = inputItems(request.input).map((item) => (isReference(item) ? referenced(item, context)?.value : item));
  if (!input.every((item) => item !== undefined)) return;
  const turn = {
    id,
    previousId: request.previous_response_id || undefined,
    input,
    output,
    response,
  };
  context.responses.remember(turn, context.now);
}

function resolved(item: InputItem, index: number, context: Context): InputItem {
  if (!isReference(item)) return item;
  const found = referenced(item, context);
  if (found) {
    context.reserve(found.size);
    return found.value;
  }
  throw new RelayError("invalid_value", `Item with id '${idOf(item).slice(0, 100)}' is not known to the relay.`, {
    param: `input[${index}].id`,
    hint: "Send the item itself; with the AI SDK set store: false.",
  });
}

/** The type of a reference may be left out; then there is nothing but its id. */
function isReference(item: InputItem): boolean {
  if (item.type) return item.type === "item_reference";
  return typeof item["id"] === "string" && Object.keys(item).every((key) => key === "id" || key === "type");
}

function referenced(item: InputItem, { responses, now }: Context): Stored<InputItem> | undefined {
  return idOf(item) === "" ? undefined : responses.item(idOf(item), now);
}

function idOf(item: InputItem): string {
  return typeof item["id"] === "string" ? item["id"] : "";
}

const CALLS = new Set<unknown>(["function_call", "custom_tool_call"]);

/** The backend would refuse too, but in terms of items that the client never sent. */
function refuseUnanswered(earlier: readonly InputItem[], added: readonly InputItem[]): void {
  const calls = earlier.filter(({ type }) => CALLS.has(type));
  if (calls.length === 0) return;
  const said = new Set([...earlier, ...added].map((item) => `${item.type} ${callId(item)}`));
  const open = calls.filter((item) => !said.has(`${item.type}_output ${callId(item)}`));
  const [first] = open;
  if (!first) return;
  const kind = first.type === "custom_tool_call" ? "custom tool call" : "function call";
  const ids = open.map(callId).join(", ");
  throw new RelayError("invalid_request", `No tool output found for ${kind} ${ids}.`, { param: "input" });
}

function callId(item: InputItem): string {
  return typeof item["call_id"] === "string" ? item["call_id"] : "";
}
