import { isObject } from "../../lib/json.ts";
import type { Place } from "../place.ts";
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
  const mark = (fields: unknown, at: Place) => {
    if (!isObject(fields)) return;
    for (const name of CACHE_MARKS) {
      // Conversations repeat themselves: each once.
      if (isGiven(fields[name]) && !marks.has(name)) marks.set(name, `${at()}.${name}`);
    }
  };
  messages?.forEach((message, index) => {
    const at = () => `messages[${index}]`;
    const { role, audio, content } = message;
    if (isGiven(audio) && role === "assistant") dropped.push(`${at()}.audio`);
    mark(message, at);
    if (Array.isArray(content))
      content.forEach((part: unknown, place) => mark(part, () => `${at()}.content[${place}]`));
  });
  tools?.forEach((tool, index) => mark(tool, () => `tools[${index}]`));
  return { dropped, changed: [...marks.values()] };
}
