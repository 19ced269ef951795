import type { MadeFrame } from "./protocol.ts";

/** Ends a stream of Chat Completions or Completions. */
export const DONE: MadeFrame = { data: "[DONE]" };
