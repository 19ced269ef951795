import { isObject, type JsonObject } from "../../lib/json.ts";
import { isGiven } from "../unread-fields.ts";
import type { ChatRequest } from "./schema.ts";

/** What messages and tools say and nobody reads, by the place where they say so first. */
export interface UnreadInside {
  readonly dropped: readonly string[];
  /** What happens anyway. */
  readonly changed: readonly string[];
}

/** Where a prompt may be cached up to, in this API's words and in other vendors'. The backend caches by itself. */
const CACHE_MARKS = ["prompt_cache_breakpoint", "cache_control"] as const;

/** Spoken answers of earlier turns, and marks for a cache. Null says nothing. */
export function unreadInside({ messages, tools }: ChatRequest): UnreadInside {
  const dropped: string[] = [];
  const marks = new Map<string, string>();
  const mark = (fields: unknown, path: string) => {
    if (!isObject(fields)) return;
    for (const name of CACHE_MARKS) {
      // Conversations repeat themselves: each once.
      if (isGiven(fields[name]) && !marks.has(name)) marks.set(name, `${path}.${name}`);
    }
  };
  (messages ?? []).forEach((message: JsonObject, index) => {
    const path = `messages[${index}]`;
    if (message["role"] === "assistant" && isGiven(message["audio"])) dropped.push(`${path}.audio`);
    mark(message, path);
    const { content } = message;
    if (Array.isArray(content)) content.forEach((part: unknown, at) => mark(part, `${path}.content[${at}]`));
  });
  (tools ?? []).forEach((tool, index) => mark(tool, `tools[${index}]`));
  return { dropped, changed: [...marks.values()] };
}
