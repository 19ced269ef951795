import type { JsonObject } from "../lib/json.ts";
import { answer } from "./answers.ts";
import { asText } from "./json.ts";
import { compactionItem, type NextId } from "./output.ts";
import { countTokens, replyEvents } from "./reply.ts";
import { TINY_PNG } from "./tools.ts";

/** Tokens of the last request by cache key. The cache counts in blocks of 16. */
export class PromptCache {
  readonly #tokens = new Map<string, number>();

  /** How many of `inputTokens` the request before had. */
  take(key: string, inputTokens: number): number {
    if (key === "") return 0;
    const before = this.#tokens.get(key) ?? 0;
    this.#tokens.set(key, inputTokens);
    return Math.floor(Math.min(before, inputTokens) / 16) * 16;
  }
}

/** The events of the usual answer to a request. */
export function answerEvents(
  body: JsonObject,
  about: { cache: PromptCache; nowMs: number; nextId: NextId },
): Iterable<JsonObject> {
  const inputTokens = countTokens(body);
  return replyEvents({
    body,
    outputs: answer(body),
    inputTokens,
    cachedTokens: about.cache.take(asText(body["prompt_cache_key"]), inputTokens),
    createdAt: Math.floor(about.nowMs / 1000),
    nextId: about.nextId,
  });
}

/** What the older way to shorten a history answers. */
export function compactReply(nextId: NextId): JsonObject {
  return { output: [compactionItem(nextId("cmp"))] };
}

/** What the transcription endpoint answers. */
export const TRANSCRIPT = { text: "This is the stand-in's transcript." };

/** What the image endpoints answer: as many tiny pictures as were asked for. */
export function imagesReply(body: JsonObject, nowMs: number): JsonObject {
  const count = typeof body["n"] === "number" ? body["n"] : 1;
  const asked = (name: string, usual: string) => asText(body[name]).replace(/^auto$/, "") || usual;
  return {
    created: Math.floor(nowMs / 1000),
    data: Array.from({ length: count }, () => ({ b64_json: TINY_PNG })),
    background: asked("background", "opaque"),
    output_format: asked("output_format", "png"),
    quality: asked("quality", "medium"),
    size: asked("size", "1024x1024"),
    usage: { input_tokens: 10, output_tokens: 100 * count, total_tokens: 10 + 100 * count },
  };
}
