import { fileDataUrl, USUAL_FILE_NAME } from "../../codex/request/file-data.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { withSpeaker } from "../speaker.ts";
import { isGiven } from "../unread-fields.ts";

/** Items that the backend refuses under ids that it did not give; those of other items name something that it keeps. */
const WITHOUT_ID = new Set<unknown>([
  undefined,
  "message",
  "reasoning",
  "function_call",
  "function_call_output",
  "custom_tool_call",
  "custom_tool_call_output",
]);

/** True for a message whose speaker the model is not told: only users' names are put before what they say. */
export function isUnnamed({ role, name }: InputItem): boolean {
  return role !== undefined && role !== "user" && nonEmptyString(name) !== undefined;
}

/**
 * Places in the client's items that say something to no effect, and need not: marks for a cache, as the backend caches
 * by itself, once; and thoughts without their encrypted form, which alone means something to it.
 */
export function unsaidIn(items: readonly InputItem[]): string[] {
  const thoughts = items.flatMap((item, index) => (isUnreadable(item) ? [`input[${index}]`] : []));
  const marked = firstMarked(items);
  return marked === undefined ? thoughts : [...thoughts, marked];
}

const LISTS = ["content", "output"] as const;

/** Looked for in every part of a long history: no path is written before one is found. */
function firstMarked(items: readonly InputItem[]): string | undefined {
  for (const [index, item] of items.entries()) {
    for (const list of LISTS) {
      const parts = item[list];
      if (!Array.isArray(parts)) continue;
      const at = parts.findIndex((part) => isObject(part) && isGiven(part["prompt_cache_breakpoint"]));
      if (at !== -1) return `input[${index}].${list}[${at}].prompt_cache_breakpoint`;
    }
  }
  return undefined;
}

function isUnreadable(item: InputItem): boolean {
  return item.type === "reasoning" && !isGiven(item["encrypted_content"]);
}

/** Written by SDKs into the objects that they hand out, for their own users. */
const SDK_FIELDS = new Set(["parsed", "parsed_arguments"]);

/**
 * An input item as the backend takes it from somebody who is not its own client: nothing is stored there, so earlier
 * items cannot be looked up by id, and `system` is called `developer`. What SDKs print of earlier answers loses its
 * empty fields. `path` is where the client wrote it.
 */
export function portableItem(item: InputItem, path: string): InputItem[] {
  const said = withoutEmpty(item);
  if (WITHOUT_ID.has(item.type)) delete said["id"];
  if (item.type === "reasoning") {
    if (isUnreadable(item)) return [];
    return [{ ...said, summary: item["summary"] ?? [] }];
  }
  // SDKs of strongly typed languages hand over the arguments as they read them.
  if (isObject(item["arguments"])) said["arguments"] = JSON.stringify(item["arguments"]);
  // A tool's result may come in parts, like a message.
  const { output } = item;
  if (Array.isArray(output)) return [{ ...said, output: parts(output, `${path}.output`) }];
  if (item["role"] === undefined) return [said];
  const role = item["role"] === "system" ? "developer" : item["role"];
  const { name, ...message } = said;
  const content = contentOf(item["content"], role, `${path}.content`);
  const told = role === "user" && Array.isArray(content) ? withSpeaker(name, content.filter(isObject)) : content;
  return [{ ...message, type: item.type ?? "message", role, content: told }];
}

function withoutEmpty(fields: JsonObject): JsonObject {
  const given: [string, unknown][] = [];
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (isGiven(value) && !SDK_FIELDS.has(name)) given.push([name, isObject(value) ? withoutEmpty(value) : value]);
  }
  return Object.fromEntries(given);
}

/** String content in the form that says whose it is; the SDKs' short form leaves it out. */
function contentOf(content: unknown, role: unknown, path: string): unknown {
  if (typeof content === "string")
    return [{ type: role === "assistant" ? "output_text" : "input_text", text: content }];
  return Array.isArray(content) ? parts(content, path) : (content ?? []);
}

function parts(content: readonly unknown[], path: string): unknown[] {
  return content.map((part, index) => (isObject(part) ? portablePart(part, `${path}[${index}]`) : part));
}

function portablePart(part: JsonObject, path: string): JsonObject {
  // Citations and log probabilities are the answer's, not the question's.
  if (part["type"] === "output_text") return { type: "output_text", text: part["text"] };
  if (nonEmptyString(part["file_id"])) throw noUploads(`${path}.file_id`);
  const { prompt_cache_breakpoint: _breakpoint, ...rest } = withoutEmpty(part);
  if (part["type"] === "input_image" && rest["detail"] === undefined) return { ...rest, detail: "auto" };
  const data = nonEmptyString(part["file_data"]);
  if (part["type"] !== "input_file" || data === undefined) return rest;
  const fileName = nonEmptyString(part["filename"]);
  return { ...rest, filename: fileName ?? USUAL_FILE_NAME, file_data: fileDataUrl(data, fileName) };
}

/** The backend has no place where files are kept. */
function noUploads(param: string): RelayError {
  return new RelayError("unsupported_parameter", "Uploaded files are not supported; send the content itself.", {
    param,
  });
}
