import { fileDataUrl, fileNameFor } from "../../codex/request/file-data.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Place } from "../place.ts";
import { fault, missing, unsupported } from "./refuse.ts";

/** Blocks of a user's message or a tool's result as Responses input parts. Empty texts are left out. */
export function inputParts(content: unknown, at: Place): JsonObject[] {
  if (typeof content === "string") return content === "" ? [] : [inputText(content)];
  if (content === undefined || content === null) return [];
  if (!Array.isArray(content)) throw fault(at(), "must be a string or a list of blocks");
  return content.flatMap((block: unknown, index) => inputPart(block, () => `${at()}.${index}`));
}

/** One block. Throws RelayError for blocks that only an assistant's message may hold, and for unknown ones. */
export function inputPart(block: unknown, at: Place): JsonObject[] {
  if (!isObject(block)) throw fault(at(), "must be an object");
  switch (block["type"]) {
    case "text":
      return textPart(block["text"], () => `${at()}.text`);
    case "image":
      return [image(sourceOf(block, at), () => `${at()}.source`)];
    case "document":
      return document(block, at);
    case "search_result":
      return searchResult(block, at);
    case "tool_reference":
      // Found by the client's own search; every tool has been sent along already.
      return [inputText(`The tool ${String(block["tool_name"])} is available.`)];
    case undefined:
      throw missing(`${at()}.type`);
    default:
      throw fault(`${at()}.type`, `'${String(block["type"]).slice(0, 60)}' is not a block that can stand here`);
  }
}

function inputText(text: string): JsonObject {
  return { type: "input_text", text };
}

function textPart(text: unknown, at: Place): JsonObject[] {
  if (typeof text !== "string") throw missing(at());
  return text === "" ? [] : [inputText(text)];
}

function sourceOf(block: JsonObject, at: Place): JsonObject {
  const { source } = block;
  if (!isObject(source)) throw missing(`${at()}.source`);
  if (source["type"] === "file") {
    throw unsupported(`${at()}.source.type`, "uploaded files are not kept here; send the content itself");
  }
  return source;
}

function image(source: JsonObject, at: Place): JsonObject {
  const url = source["type"] === "url" ? required(source, "url", at) : dataUrl(source, at);
  return { type: "input_image", image_url: url, detail: "auto" };
}

function dataUrl(source: JsonObject, at: Place): string {
  if (source["type"] !== "base64") throw fault(`${at()}.type`, "must be base64 or url");
  const data = required(source, "data", at);
  if (data.startsWith("data:")) return data;
  return `data:${required(source, "media_type", at)};base64,${data}`;
}

function required(source: JsonObject, name: string, at: Place): string {
  const value = nonEmptyString(source[name]);
  if (value === undefined) throw missing(`${at()}.${name}`);
  return value;
}

/** A document with its title and context, which have no field upstream and so become text before it. */
function document(block: JsonObject, at: Place): JsonObject[] {
  const source = sourceOf(block, at);
  const title = nonEmptyString(block["title"]);
  const context = nonEmptyString(block["context"]);
  const inSource = () => `${at()}.source`;
  switch (source["type"]) {
    case "text":
      return headed(
        [title, context],
        textPart(source["data"], () => `${inSource()}.data`),
      );
    case "content":
      return headed(
        [title, context],
        inputParts(source["content"], () => `${inSource()}.content`),
      );
    case "url":
      return headed([title, context], [{ type: "input_file", file_url: required(source, "url", inSource) }]);
    default:
      return headed([context], [inputFile(title, dataUrl(source, inSource))]);
  }
}

function headed(lines: readonly (string | undefined)[], parts: JsonObject[]): JsonObject[] {
  const head = lines.filter((line) => line !== undefined).join("\n");
  return head === "" ? parts : [inputText(head), ...parts];
}

function inputFile(title: string | undefined, url: string): JsonObject {
  const data = fileDataUrl(url, title);
  const type = /^data:([^;,]*)/.exec(data)?.[1] ?? "";
  return { type: "input_file", filename: fileNameFor(title, type), file_data: data };
}

function searchResult(block: JsonObject, at: Place): JsonObject[] {
  const head = [block["title"], block["source"]].map((line) => nonEmptyString(line));
  return headed(
    head,
    inputParts(block["content"], () => `${at()}.content`),
  );
}

/** A failed tool's result says so in its text: the backend's own result has no field for it. */
const SAYS_SO = /^\s*(<tool_use_error>|error\b)/i;

/** A tool's result: text where it is one text, parts where there is more. */
export function toolOutput(content: unknown, isError: boolean, at: Place): string | JsonObject[] {
  const parts = inputParts(content, at);
  const [first, ...rest] = parts;
  const text = first?.["type"] === "input_text" ? String(first["text"]) : undefined;
  const isMarked = !isError || (text !== undefined && SAYS_SO.test(text));
  if (rest.length === 0 && (text !== undefined || first === undefined)) {
    return isMarked ? (text ?? "") : `Error: ${text ?? ""}`.trimEnd();
  }
  return isMarked ? parts : [inputText("Error:"), ...parts];
}

/** Blocks of a system message that change the tools or the effort instead of saying something. */
const CHANGES = new Set<unknown>(["tool_addition", "tool_removal", "output_config"]);

/** Texts of a system message, or of the system field. */
export function systemTexts(content: unknown, at: Place): string[] {
  if (typeof content === "string") return content === "" ? [] : [content];
  if (content === undefined || content === null) return [];
  if (!Array.isArray(content)) throw fault(at(), "must be a string or a list of text blocks");
  return content.flatMap((block: unknown, index) => {
    if (isObject(block) && CHANGES.has(block["type"])) return [];
    const text = isObject(block) ? block["text"] : undefined;
    if (typeof text !== "string") throw fault(`${at()}.${index}`, "must be a text block");
    return text === "" ? [] : [text];
  });
}
