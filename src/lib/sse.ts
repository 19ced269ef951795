/** A comment frame: every SSE client ignores it, while `event: ping` or `data: {}` make several SDKs throw. */
export const KEEP_ALIVE_FRAME = ": keepalive\n\n";

/** Ends a Chat Completions or Completions stream. */
export const DONE_FRAME = "data: [DONE]\n\n";

/** One `data:` frame. `data` must hold no line break, as JSON never does. */
export function dataFrame(data: string): string {
  return `data: ${data}\n\n`;
}

/** One named frame, for dialects whose clients read the `event:` line. */
export function eventFrame(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}
