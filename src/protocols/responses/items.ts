import { fileDataUrl, USUAL_FILE_NAME } from "../../codex/request/file-data.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Place } from "../place.ts";
import { withSpeaker } from "../speaker.ts";
import { isGiven } from "../unread-fields.ts";

/** Items that the backend refuses under ids that it did not give; those of other items name something that it keeps. */
const WITHOUT_ID = new Set<unknown>([
  undefined,
  null,
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
  const places: string[] = [];
  items.forEach((item, index) => {
    if (isUnreadable(item)) places.push(`input[${index}]`);
  });
  const marked = firstMarked(items);
  if (marked !== undefined) places.push(marked);
  return places;
}

const LISTS = ["content", "output"] as const;

function firstMarked(items: readonly InputItem[]): string | undefined {
  for (let index = 0; index < items.length; index += 1) {
    for (const list of LISTS) {
      const parts = items[index]?.[list];
      const at = Array.isArray(parts) ? parts.findIndex(isMarked) : -1;
      if (at !== -1) return `input[${index}].${list}[${at}].prompt_cache_breakpoint`;
    }
  }
  return undefined;
}

function isMarked(part: unknown): boolean {
  return isObject(part) && isGiven(part["prompt_cache_breakpoint"]);
}

function isUnreadable(item: InputItem): boolean {
  return item.type === "reasoning" && !isGiven(item["encrypted_content"]);
}

/** Written by SDKs into the objects that they hand out, for their own users. */
const SDK_FIELDS = new Set(["parsed", "parsed_arguments"]);

/**
 * An input item as the backend takes it from somebody who is not its own client: nothing is stored there, so earlier
 * items cannot be looked up by id, and `system` is called `developer`. What SDKs print of earlier answers loses its
 * empty fields. Undefined for what means nothing there; an item with nothing to change is the very same object, as are
 * most of a long history. `at` is where the client wrote it.
 */
export function portableItem(item: InputItem, at: Place): InputItem | undefined {
  if (isShortMessage(item)) {
    const { role, content } = item;
    return { role, content: contentOf(content, role, at), type: "message" };
  }
  if (isUnreadable(item)) return undefined;
  const said = WITHOUT_ID.has(item.type) ? without("id", withoutEmpty(item)) : withoutEmpty(item);
  if (item.type === "reasoning") return withField(said, "summary", item["summary"] ?? []);
  const called = isObject(item["arguments"])
    ? // SDKs of strongly typed languages hand over the arguments as they read them.
      withField(said, "arguments", JSON.stringify(item["arguments"]))
    : said;
  // A tool's result may come in parts, like a message.
  const { output } = item;
  if (Array.isArray(output))
    return withField(
      called,
      "output",
      parts(output, () => `${at()}.output`),
    );
  return item["role"] === undefined ? called : portableMessage(item, called, at);
}

/** True for a message in the SDKs' shortest form, as scripts send thousands of: there is nothing else in it to find. */
function isShortMessage(item: InputItem): boolean {
  for (const name in item) if (name !== "role" && name !== "content") return false;
  const { role, content } = item;
  return typeof content === "string" && (role === "user" || role === "assistant");
}

/** `said` is what `item` says without its empty fields. */
function portableMessage(item: InputItem, said: JsonObject, at: Place): JsonObject {
  const role = item["role"] === "system" ? "developer" : item["role"];
  const content = contentOf(item["content"], role, () => `${at()}.content`);
  const told = role === "user" && Array.isArray(content) ? withSpeaker(said["name"], objectsIn(content)) : content;
  const type = item.type ?? "message";
  const isSame = said["type"] === type && said["role"] === role && said["content"] === told;
  return without("name", isSame ? said : { ...said, type, role, content: told });
}

function objectsIn(list: unknown[]): JsonObject[] {
  return list.every(isObject) ? list : list.filter(isObject);
}

/** The object itself where the field has that value. */
function withField(fields: JsonObject, name: string, value: unknown): JsonObject {
  return fields[name] === value ? fields : { ...fields, [name]: value };
}

/** The object itself where it has no such field. */
function without(name: string, fields: JsonObject): JsonObject {
  if (!Object.hasOwn(fields, name)) return fields;
  // A rest pattern with a computed name would take four times as long.
  const rest = { ...fields };
  delete rest[name];
  return rest;
}

/** The object itself where every field says something. */
function withoutEmpty(fields: JsonObject): JsonObject {
  if (!hasEmpty(fields)) return fields;
  const given: [string, unknown][] = [];
  for (const name in fields) {
    const value = fields[name];
    if (saysSomething(name, value)) given.push([name, isObject(value) ? withoutEmpty(value) : value]);
  }
  // Not by assignment, which would take a field `__proto__` for the prototype.
  return Object.fromEntries(given);
}

function hasEmpty(fields: JsonObject): boolean {
  for (const name in fields) {
    const value = fields[name];
    if (!saysSomething(name, value) || (isObject(value) && hasEmpty(value))) return true;
  }
  return false;
}

function saysSomething(name: string, value: unknown): boolean {
  return isGiven(value) && !SDK_FIELDS.has(name);
}

/** String content in the form that says whose it is; the SDKs' short form leaves it out. */
function contentOf(content: unknown, role: unknown, at: Place): unknown {
  if (typeof content === "string")
    return [{ type: role === "assistant" ? "output_text" : "input_text", text: content }];
  return Array.isArray(content) ? parts(content, at) : (content ?? []);
}

/** The list itself where no part changes. */
function parts(content: unknown[], at: Place): unknown[] {
  const portable = content.map((part, index) =>
    isObject(part) ? portablePart(part, () => `${at()}[${index}]`) : part,
  );
  return portable.every((part, index) => part === content[index]) ? content : portable;
}

function portablePart(part: JsonObject, at: Place): JsonObject {
  // Citations and log probabilities are the answer's, not the question's.
  if (part["type"] === "output_text") return isPlainText(part) ? part : { type: "output_text", text: part["text"] };
  if (nonEmptyString(part["file_id"])) throw noUploads(`${at()}.file_id`);
  const said = without("prompt_cache_breakpoint", withoutEmpty(part));
  if (part["type"] === "input_image" && said["detail"] === undefined) return { ...said, detail: "auto" };
  const data = nonEmptyString(part["file_data"]);
  if (part["type"] !== "input_file" || data === undefined) return said;
  const fileName = nonEmptyString(part["filename"]);
  return { ...said, filename: fileName ?? USUAL_FILE_NAME, file_data: fileDataUrl(data, fileName) };
}

function isPlainText(part: JsonObject): boolean {
  for (const name in part) if (name !== "type" && name !== "text") return false;
  return true;
}

/** The backend has no place where files are kept. */
function noUploads(param: string): RelayError {
  return new RelayError("unsupported_parameter", "Uploaded files are not supported; send the content itself.", {
    param,
  });
}
