import { nonEmptyString, type JsonObject } from "../lib/json.ts";

/** Who says it, in the text: the backend's messages have no field for it (microsoft/autogen#5401). */
export function withSpeaker(name: unknown, parts: JsonObject[]): JsonObject[] {
  const speaker = nonEmptyString(name);
  if (speaker === undefined) return parts;
  const [first, ...rest] = parts;
  if (first === undefined) return parts;
  if (first["type"] !== "input_text") return [{ type: "input_text", text: `${speaker}:` }, ...parts];
  return [{ ...first, text: `${speaker}: ${String(first["text"])}` }, ...rest];
}
