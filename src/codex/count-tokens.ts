import { isObject } from "../lib/json.ts";
import { tokenCounter } from "../lib/tokens.ts";
import { estimatedTokens } from "./output/usage.ts";
import type { CodexRequest } from "./wire/request.ts";

/** What cannot be counted as text, in tokens; the public API's own figures for usual sizes. */
const PER_IMAGE = 1000;
const PER_FILE_KILOBYTE = 30;

/** Around each item, and before the answer: the marks that tell roles apart. */
const PER_ITEM = 3;

/** The input tokens of a request as the backend will see it: text to the token, images and files by estimate. */
export async function countTokens(body: CodexRequest): Promise<number> {
  const texts: string[] = [];
  let tokens = tokensIn(body, {
    text: (text) => texts.push(text),
    schema: (schema) => texts.push(JSON.stringify(schema)),
  });
  const count = await tokenCounter();
  for (const text of texts) tokens += await count(text);
  return tokens;
}

/** The same at once, by the length of the text. Made for many requests: nothing is written, nothing is kept. */
export function estimateTokens(body: CodexRequest): number {
  let characters = 0;
  const tokens = tokensIn(body, {
    text: (text) => (characters += text.length),
    schema: (schema) => (characters += writtenLength(schema)),
  });
  return tokens + estimatedTokens(characters);
}

/** Is told what the model reads of a request. */
interface Reader {
  readonly text: (text: string) => void;
  readonly schema: (schema: unknown) => void;
}

/** The tokens of what is no text; all that is goes to the reader. */
function tokensIn(body: CodexRequest, reader: Reader): number {
  if (body.instructions) reader.text(body.instructions);
  const parts = [body.input, body.tools, body.text].map((part) => tokensInside(part, reader));
  return parts.reduce((sum, tokens) => sum + tokens, PER_ITEM * (body.input.length + 2));
}

function tokensInside(root: unknown, reader: Reader): number {
  const waiting: unknown[] = [root];
  let tokens = 0;
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (Array.isArray(value)) {
      for (const entry of value) waiting.push(entry);
    } else if (isObject(value)) {
      // Of thousands of messages: `Object.entries` would make three objects for each of them.
      for (const key in value) {
        const told = tokensOfField(key, value[key], reader);
        if (told === undefined) waiting.push(value[key]);
        else tokens += told;
      }
    }
  }
  return tokens;
}

/** Undefined for a field that is to be looked into. */
function tokensOfField(key: string, value: unknown, reader: Reader): number | undefined {
  switch (key) {
    // Not read by the model.
    case "type":
    case "role":
    case "call_id":
    case "detail":
    case "strict":
    case "file_url":
      return 0;
    case "image_url":
      return PER_IMAGE;
    case "file_data":
      return Math.ceil(String(value).length / 1024) * PER_FILE_KILOBYTE;
    // Of encrypted reasoning only the size is known: base64 of about four bytes a token.
    case "encrypted_content":
      return Math.ceil(String(value).length / 5);
    case "parameters":
    case "schema":
      reader.schema(value);
      return 0;
    default:
      if (typeof value !== "string") return undefined;
      reader.text(value);
      return 0;
  }
}

/** Characters of a value's JSON, but for those that escapes in its texts add. Tools bring hundreds of thousands of them. */
function writtenLength(value: unknown): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return String(value).length;
  let length = 0;
  let entries = 0;
  if (Array.isArray(value)) {
    entries = value.length;
    for (const entry of value) length += writtenLength(entry);
  } else if (isObject(value)) {
    for (const key in value) {
      entries += 1;
      length += key.length + 3 + writtenLength(value[key]);
    }
  }
  // The brackets, and a comma between two entries.
  return length + 2 + Math.max(0, entries - 1);
}
