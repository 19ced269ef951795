import { nonEmptyString, type JsonObject } from "../lib/json.ts";

/** Who says it, in the text: the backend's messages have no field for it (microsoft/autogen#5401). */
export function withSpeaker(name: unknown, parts: readonly JsonObject[]): JsonObject[] {
  const speaker = nonEmptyString(name);
  const [first, ...rest] = parts;
  if (speaker === undefined || first === undefined) return [...parts];
  if (first["type"] !== "input_text") return [{ type: "input_text", text: `${speaker}:` }, ...parts];
  return [{ ...first, text: `${speaker}: ${String(first["text"])}` }, ...rest];
}
