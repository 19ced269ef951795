import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { asList, asText } from "../../src/demo/json.ts";
import { compactionItem } from "../../src/demo/output.ts";
import {
  firstRefusal,
  missing,
  refuse,
  refuseParam,
  type Refusal,
  unknownKey,
  wrongType,
  wrongValue,
} from "./refusal.ts";

interface ItemKind {
  /** What an `id` of this kind begins with. */
  readonly prefix: string;
  readonly keys: readonly string[];
  readonly required?: readonly string[];
}

/** A private key of the Codex CLI that may sit on any item. */
const ANYWHERE = ["type", "id", "status", "internal_chat_message_metadata_passthrough"];

const KINDS: Readonly<Record<string, ItemKind>> = {
  message: { prefix: "msg", keys: ["role", "content", "phase"], required: ["role", "content"] },
  reasoning: { prefix: "rs", keys: ["summary", "content", "encrypted_content"], required: ["summary"] },
  function_call: {
    prefix: "fc",
    keys: ["call_id", "name", "namespace", "arguments"],
    required: ["call_id", "name", "arguments"],
  },
  function_call_output: { prefix: "fc", keys: ["call_id", "output"], required: ["call_id", "output"] },
  custom_tool_call: {
    prefix: "ctc",
    keys: ["call_id", "name", "namespace", "input"],
    required: ["call_id", "name", "input"],
  },
  custom_tool_call_output: { prefix: "ctc", keys: ["call_id", "name", "output"], required: ["call_id", "output"] },
  local_shell_call: { prefix: "lsh", keys: ["call_id", "action"], required: ["call_id", "action"] },
  local_shell_call_output: { prefix: "lsh", keys: ["call_id", "output"], required: ["output"] },
  tool_search_call: { prefix: "tsc", keys: ["call_id", "execution", "arguments"] },
  tool_search_output: { prefix: "tso", keys: ["call_id", "execution", "tools"] },
  web_search_call: { prefix: "ws", keys: ["action"] },
  image_generation_call: {
    prefix: "ig",
    keys: ["result", "revised_prompt", "output_format", "size", "quality", "background", "action"],
  },
  compaction: { prefix: "cmp", keys: ["encrypted_content"], required: ["encrypted_content"] },
  compaction_summary: { prefix: "cmp", keys: ["encrypted_content"], required: ["encrypted_content"] },
  context_compaction: { prefix: "cmp", keys: ["encrypted_content"], required: ["encrypted_content"] },
  compaction_trigger: { prefix: "cmp", keys: [] },
  additional_tools: { prefix: "at", keys: ["role", "tools"], required: ["tools"] },
};

/** Which calls an output may answer, and what the backend names each pair. */
const OUTPUT_OF: Readonly<Record<string, { call: string; name: string }>> = {
  function_call_output: { call: "function_call", name: "function call" },
  custom_tool_call_output: { call: "custom_tool_call", name: "custom tool call" },
};

const MAX_CALL_ID = 64;

/** Every rule about `input`. */
export function refuseItems(items: readonly unknown[], isLite: boolean): Refusal | undefined {
  return firstRefusal(items, (item, index) => refuseItem(item, `input[${index}]`, isLite)) ?? refusePairs(items);
}

function refuseItem(item: unknown, at: string, isLite: boolean): Refusal | undefined {
  if (!isObject(item)) return wrongType(at, "an object");
  const type = asText(item["type"]) || (item["role"] === undefined ? "" : "message");
  if (type === "") return missing(`${at}.type`);
  if (type === "item_reference") return notPersisted(asText(item["id"]));
  const kind = KINDS[type];
  if (!kind) return wrongValue(`${at}.type`, type, Object.keys(KINDS));
  if (type === "message" && item["role"] === "system") return refuse("System messages are not allowed");
  const id = item["id"];
  if (type === "reasoning" && !item["encrypted_content"]) {
    return typeof id === "string" ? notPersisted(id) : missing(`${at}.encrypted_content`);
  }
  return (
    firstRefusal(Object.keys(item), (key) =>
      ANYWHERE.includes(key) || kind.keys.includes(key) ? undefined : unknownKey(`${at}.${key}`),
    ) ??
    firstRefusal(kind.required ?? [], (key) => (item[key] === undefined ? missing(`${at}.${key}`) : undefined)) ??
    refuseId(id, kind.prefix, at) ??
    refuseCallId(item["call_id"], at) ??
    refuseFields(item, type, at, isLite)
  );
}

function notPersisted(id: string): Refusal {
  const message =
    `Item with id '${id}' not found. Items are not persisted when \`store\` is set to false. ` +
    "Try again with `store` set to true, or remove this item from your input.";
  return refuseParam(message, "input", null, 404);
}

function refuseId(id: unknown, prefix: string, at: string): Refusal | undefined {
  if (id === undefined || id === null) return undefined;
  if (typeof id !== "string") return wrongType(`${at}.id`, "a string");
  if (id.startsWith(prefix)) return undefined;
  const message = `Invalid '${at}.id': '${id}'. Expected an ID that begins with '${prefix}'.`;
  return refuseParam(message, `${at}.id`, "invalid_value");
}

function refuseCallId(callId: unknown, at: string): Refusal | undefined {
  if (callId === undefined || callId === null) return undefined;
  const param = `${at}.call_id`;
  if (typeof callId !== "string") return wrongType(param, "a string");
  if (callId === "") {
    const message = `Invalid '${param}': empty string. Expected a string with minimum length 1, but got an empty string instead.`;
    return refuseParam(message, param, "empty_string");
  }
  if (callId.length <= MAX_CALL_ID) return undefined;
  const message =
    `Invalid '${param}': string too long. Expected a string with maximum length ${MAX_CALL_ID}, ` +
    `but got a string with length ${callId.length} instead.`;
  return refuseParam(message, param, "string_above_max_length");
}

function refuseFields(item: JsonObject, type: string, at: string, isLite: boolean): Refusal | undefined {
  switch (type) {
    case "message":
      return refuseMessage(item, at, isLite);
    case "function_call":
      return refuseName(item["name"], at) ?? refuseText(item["arguments"], `${at}.arguments`);
    case "custom_tool_call":
      return refuseName(item["name"], at) ?? refuseText(item["input"], `${at}.input`);
    case "function_call_output":
    case "custom_tool_call_output":
      if (typeof item["output"] === "string") return undefined;
      if (!Array.isArray(item["output"])) return wrongType(`${at}.output`, "a string or an array of content parts");
      return refuseParts(item["output"], `${at}.output`, USER_PARTS, isLite);
    case "compaction":
    case "compaction_summary":
    case "context_compaction":
      return refuseUnboundCompaction(item);
    case "reasoning":
      return Array.isArray(item["summary"]) ? undefined : wrongType(`${at}.summary`, "an array");
    default:
      return undefined;
  }
}

/** The ciphertext of a shortened history counts only together with the id that it came with (contract 0.6). */
function refuseUnboundCompaction(item: JsonObject): Refusal | undefined {
  const id = asText(item["id"]);
  const isOwn = id !== "" && item["encrypted_content"] === compactionItem(id)["encrypted_content"];
  return isOwn ? undefined : refuse("Encrypted content item_id did not match the target item id");
}

function refuseName(name: unknown, at: string): Refusal | undefined {
  if (typeof name === "string" && /^[a-zA-Z0-9_.-]{1,128}$/.test(name)) return undefined;
  return refuseParam(
    `Invalid '${at}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
    `${at}.name`,
    "invalid_value",
  );
}

function refuseText(value: unknown, param: string): Refusal | undefined {
  return typeof value === "string" ? undefined : wrongType(param, "a string");
}

const USER_PARTS = ["input_text", "input_image", "input_file"];
const ASSISTANT_PARTS = ["output_text", "refusal"];

function refuseMessage(item: JsonObject, at: string, isLite: boolean): Refusal | undefined {
  const role = item["role"];
  const roles = ["assistant", "developer", "user"];
  if (!roles.includes(asText(role))) return wrongValue(`${at}.role`, role, roles);
  if (typeof item["content"] === "string") return undefined;
  if (!Array.isArray(item["content"])) return wrongType(`${at}.content`, "a string or an array of content parts");
  const allowed = role === "assistant" ? ASSISTANT_PARTS : USER_PARTS;
  return refuseParts(item["content"], `${at}.content`, allowed, isLite);
}

const PART_KEYS: Readonly<Record<string, readonly string[]>> = {
  input_text: ["text"],
  output_text: ["text", "annotations", "logprobs"],
  refusal: ["refusal"],
  input_image: ["image_url", "file_id", "detail"],
  input_file: ["file_data", "file_id", "file_url", "filename", "detail"],
};

const DETAILS = ["auto", "low", "high", "original"];

function refuseParts(
  parts: readonly unknown[],
  at: string,
  allowed: readonly string[],
  isLite: boolean,
): Refusal | undefined {
  return firstRefusal(parts, (part, index) => {
    const param = `${at}[${index}]`;
    if (!isObject(part)) return wrongType(param, "an object");
    const type = asText(part["type"]);
    if (!allowed.includes(type)) return wrongValue(`${param}.type`, part["type"], allowed);
    return (
      firstRefusal(Object.keys(part), (key) => refusePartKey(key, type, param)) ??
      (type === "input_image" ? refuseImage(part, param, isLite) : refusePartText(part, type, param))
    );
  });
}

function refusePartKey(key: string, type: string, param: string): Refusal | undefined {
  if (key === "type" || PART_KEYS[type]?.includes(key) === true) return undefined;
  if (key === "prompt_cache_breakpoint") {
    const path = `${param}.${key}`;
    return refuseParam(`'${path}' is not supported on this model.`, path, "unsupported_parameter");
  }
  return unknownKey(`${param}.${key}`);
}

function refusePartText(part: JsonObject, type: string, param: string): Refusal | undefined {
  if (type === "input_file") {
    const hasFile = ["file_data", "file_id", "file_url"].some((key) => asText(part[key]) !== "");
    return hasFile ? undefined : missing(`${param}.file_data`);
  }
  const key = type === "refusal" ? "refusal" : "text";
  if (part[key] === undefined) return missing(`${param}.${key}`);
  return refuseText(part[key], `${param}.${key}`);
}

function refuseImage(part: JsonObject, param: string, isLite: boolean): Refusal | undefined {
  const url = asText(part["image_url"]);
  if (url === "" && asText(part["file_id"]) === "") return missing(`${param}.image_url`);
  if (url !== "" && !/^(https?:\/\/|data:image\/)/.test(url)) {
    const message = `Invalid '${param}.image_url'. Expected a valid URL, but got a value with an invalid format.`;
    return refuseParam(message, `${param}.image_url`, "invalid_value");
  }
  // Lite envelopes are seen with and without it.
  if (part["detail"] === undefined) return isLite ? undefined : missing(`${param}.detail`);
  return DETAILS.includes(asText(part["detail"])) ? undefined : wrongValue(`${param}.detail`, part["detail"], DETAILS);
}

/** Each output needs its call before it, each call its output somewhere after it. */
function refusePairs(items: readonly unknown[]): Refusal | undefined {
  const open = new Map<string, string>();
  const seen = new Set<string>();
  for (const item of asList(items).filter(isObject)) {
    const type = asText(item["type"]);
    const callId = asText(item["call_id"]);
    const pair = OUTPUT_OF[type];
    if (pair) {
      if (!seen.has(`${pair.call}:${callId}`)) {
        return refuseParam(`No tool call found for ${pair.name} output with call_id ${callId}.`, "input");
      }
      open.delete(`${pair.call}:${callId}`);
    }
    const asCall = Object.values(OUTPUT_OF).find((candidate) => candidate.call === type);
    if (!asCall) continue;
    seen.add(`${type}:${callId}`);
    open.set(`${type}:${callId}`, `No tool output found for ${asCall.name} ${callId}.`);
  }
  const message = open.values().next().value;
  return message === undefined ? undefined : refuseParam(message, "input");
}
