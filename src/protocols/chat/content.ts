import { fileDataUrl, USUAL_FILE_NAME } from "../../codex/request/file-data.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Place } from "../place.ts";
import { missing, unknownValue, wrongType } from "../refuse.ts";

const PART_TYPES = "'text', 'image_url', and 'file'";
const TEXT_OR_PARTS = "one of a string or array of objects";

/** Text of a message that may hold nothing else (system, developer). Parts are joined by line breaks. */
export function textOnly(content: unknown, at: Place): string {
  if (typeof content === "string") return content;
  if (content === undefined || content === null) return "";
  if (!Array.isArray(content)) throw wrongType(at(), TEXT_OR_PARTS, content);
  return content
    .map((part: unknown, index) => {
      if (typeof part === "string") return part;
      const text = isObject(part) ? part["text"] : undefined;
      if (typeof text === "string") return text;
      throw new RelayError("invalid_value", "Only text is allowed in a system message.", {
        param: `${at()}[${index}].type`,
      });
    })
    .filter((text) => text !== "")
    .join("\n");
}

/** User content, or a tool's result in parts, as Responses input parts. Empty texts are left out. */
export function inputParts(content: unknown, at: Place): JsonObject[] {
  if (typeof content === "string") return content === "" ? [] : [inputText(content)];
  if (content === undefined || content === null) return [];
  if (!Array.isArray(content)) throw wrongType(at(), TEXT_OR_PARTS, content);
  return content.flatMap((part: unknown, index) => inputPart(part, () => `${at()}[${index}]`));
}

function inputPart(part: unknown, at: Place): JsonObject[] {
  if (typeof part === "string") return part === "" ? [] : [inputText(part)];
  if (!isObject(part)) throw wrongType(at(), "an object", part);
  switch (part["type"]) {
    case "text":
    case "output_text":
    case "input_text": {
      if (typeof part["text"] !== "string") throw missing(`${at()}.text`);
      return part["text"] === "" ? [] : [inputText(part["text"])];
    }
    case "image_url":
    case "input_image":
      if (nonEmptyString(part["file_id"])) throw noUploads(`${at()}.file_id`);
      return [image(part["image_url"], part["detail"], () => `${at()}.image_url`)];
    case "file":
      if (!isObject(part["file"])) throw missing(`${at()}.file`);
      return [file(part["file"], () => `${at()}.file`)];
    case "input_file":
      return [file(part, at)];
    case "input_audio":
      throw new RelayError("unsupported_value", "Audio input is not supported by the Codex backend.", { param: at() });
    case undefined:
      throw missing(`${at()}.type`);
    default:
      throw unknownValue(part["type"], PART_TYPES, `${at()}.type`);
  }
}

function inputText(text: string): JsonObject {
  return { type: "input_text", text };
}

/** `detail` is optional in Chat Completions and required in Responses. */
function image(source: unknown, detail: unknown, at: Place): JsonObject {
  const url = isObject(source) ? source["url"] : source;
  if (source === undefined || source === null) throw missing(at());
  if (typeof url !== "string" || url === "") {
    throw new RelayError("invalid_value", "Invalid image: expected a URL or a data URL.", {
      param: isObject(source) ? `${at()}.url` : at(),
    });
  }
  return {
    type: "input_image",
    image_url: url,
    detail: nonEmptyString(isObject(source) ? source["detail"] : undefined) ?? nonEmptyString(detail) ?? "auto",
  };
}

function file(source: JsonObject, at: Place): JsonObject {
  if (nonEmptyString(source["file_id"])) throw noUploads(`${at()}.file_id`);
  const data = nonEmptyString(source["file_data"]);
  const url = nonEmptyString(source["file_url"]);
  if (data === undefined && url !== undefined) return { type: "input_file", file_url: url };
  if (data === undefined) throw missing(`${at()}.file_data`);
  const fileName = nonEmptyString(source["filename"]);
  return { type: "input_file", filename: fileName ?? USUAL_FILE_NAME, file_data: fileDataUrl(data, fileName) };
}

/** The backend has no place where files are kept. */
function noUploads(param: string): RelayError {
  return new RelayError("unsupported_parameter", "Uploaded files are not supported; send the content itself.", {
    param,
  });
}

/** What an assistant said, as Responses output parts; refusals stay refusals. */
export function assistantParts(content: unknown, refusal: unknown, at: Place): JsonObject[] {
  const parts: JsonObject[] = [];
  if (typeof content === "string") {
    if (content !== "") parts.push({ type: "output_text", text: content });
  } else if (Array.isArray(content)) {
    content.forEach((part: unknown, index) => parts.push(...assistantPart(part, () => `${at()}[${index}]`)));
  } else if (content !== undefined && content !== null) {
    throw wrongType(at(), TEXT_OR_PARTS, content);
  }
  if (typeof refusal === "string" && refusal !== "") parts.push({ type: "refusal", refusal });
  return parts;
}

function assistantPart(part: unknown, at: Place): JsonObject[] {
  if (typeof part === "string") return part === "" ? [] : [{ type: "output_text", text: part }];
  if (!isObject(part)) throw wrongType(at(), "an object", part);
  switch (part["type"]) {
    case "text":
    case "output_text":
    case "input_text":
      return typeof part["text"] === "string" && part["text"] !== ""
        ? [{ type: "output_text", text: part["text"] }]
        : [];
    case "refusal":
      return nonEmptyString(part["refusal"]) ? [{ type: "refusal", refusal: part["refusal"] }] : [];
    // Reasoning that other servers put into the history is not the assistant's answer.
    case "thinking":
    case "reasoning":
    case "redacted_thinking":
      return [];
    case undefined:
      throw missing(`${at()}.type`);
    default:
      throw unknownValue(part["type"], "'text' and 'refusal'", `${at()}.type`);
  }
}

/** A tool's result: text where it is one text, parts where images or files come with it. */
export function toolOutput(content: unknown, at: Place): unknown {
  if (typeof content === "string") return content;
  if (content === undefined || content === null) return "";
  // Some frameworks hand over whatever the tool returned.
  if (!Array.isArray(content) || !content.every(isPart)) return JSON.stringify(content);
  const parts = inputParts(content, at);
  const [only] = parts;
  if (parts.length === 0) return "";
  return parts.length === 1 && only?.["type"] === "input_text" ? only["text"] : parts;
}

function isPart(value: unknown): boolean {
  return typeof value === "string" || (isObject(value) && typeof value["type"] === "string");
}
