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
  const found = gathered(body);
  const count = await tokenCounter();
  let { tokens } = found;
  for (const text of found.texts) tokens += await count(text);
  return tokens;
}

/** The same at once, by the length of the text. */
export function estimateTokens(body: CodexRequest): number {
  const { texts, tokens } = gathered(body);
  return tokens + estimatedTokens(texts.reduce((characters, text) => characters + text.length, 0));
}

function gathered(body: CodexRequest): Found {
  const found: Found = { texts: [], tokens: PER_ITEM * (body.input.length + 2) };
  if (body.instructions) found.texts.push(body.instructions);
  for (const value of [body.input, body.tools ?? [], body.text ?? {}]) gather(value, found);
  return found;
}

interface Found {
  readonly texts: string[];
  tokens: number;
}

/** Keys whose value is not read by the model. */
const SILENT = new Set(["type", "role", "call_id", "detail", "strict", "file_url"]);

function gather(value: unknown, found: Found): void {
  if (Array.isArray(value)) {
    for (const entry of value) gather(entry, found);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, entry] of Object.entries(value)) {
    if (SILENT.has(key)) continue;
    if (key === "image_url") found.tokens += PER_IMAGE;
    else if (key === "file_data") found.tokens += Math.ceil(String(entry).length / 1024) * PER_FILE_KILOBYTE;
    // Of encrypted reasoning only the size is known: base64 of about four bytes a token.
    else if (key === "encrypted_content") found.tokens += Math.ceil(String(entry).length / 5);
    else if (key === "parameters" || key === "schema") found.texts.push(JSON.stringify(entry));
    else if (typeof entry === "string") found.texts.push(entry);
    else gather(entry, found);
  }
}
