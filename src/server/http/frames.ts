import { WireEvent } from "../../codex/wire/event.ts";
import { SSE_COMMENT, sseText } from "../../lib/sse.ts";
import type { Frame, Protocol } from "../../protocols/protocol.ts";

/** How frames of a streamed HTTP reply are written. */
export interface FrameFormat {
  readonly contentType: string;
  /** Sent while upstream is silent; "" where nothing is harmless. */
  readonly keepAlive: string;
  write(frame: Frame): string;
}

/** Server-sent events whose clients know of no keep-alive event. */
export const SSE: FrameFormat = {
  contentType: "text/event-stream; charset=utf-8",
  keepAlive: SSE_COMMENT,
  write: (frame) => (frame instanceof WireEvent ? frame.sse : sseText(frame.event, jsonOf(frame))),
};

/** One JSON object a line; between lines there is nothing harmless to send. */
const NDJSON: FrameFormat = {
  contentType: "application/x-ndjson",
  keepAlive: "",
  write: (frame) => `${jsonOf(frame)}\n`,
};

/** The format of a dialect's streams. */
export function frameFormat({ streamFormat, keepAlive }: Pick<Protocol, "streamFormat" | "keepAlive">): FrameFormat {
  if (streamFormat === "ndjson") return NDJSON;
  return keepAlive ? { ...SSE, keepAlive: SSE.write(keepAlive) } : SSE;
}

/** A frame's data as JSON on one line, as a WebSocket sends it. */
export function jsonOf(frame: Frame): string {
  return typeof frame.data === "string" ? frame.data : JSON.stringify(frame.data);
}
