/** A comment: every SSE client ignores it, while `event: ping` or `data: {}` make several SDKs throw. */
export const SSE_COMMENT = ": keepalive\n\n";

/** One server-sent event. `data` must hold no line break, as JSON never does. */
export function sseText(event: string | undefined, data: string): string {
  return event === undefined ? `data: ${data}\n\n` : `event: ${event}\ndata: ${data}\n\n`;
}
