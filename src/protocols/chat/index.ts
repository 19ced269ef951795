import { openaiError } from "../../lib/openai-error.ts";
import { KEEP_ALIVE_FRAME } from "../../lib/sse.ts";
import type { Protocol } from "../protocol.ts";
import { ChatBody } from "./body.ts";
import { toCodex } from "./request.ts";
import { parseChatRequest, type ChatRequest } from "./schema.ts";
import { ChatStream } from "./stream.ts";

/** OpenAI Chat Completions, the dialect that most clients speak. */
export const chat: Protocol<ChatRequest> = {
  name: "chat",
  parse: parseChatRequest,
  isStreaming: (request) => request.stream === true,
  toCodex,
  openStream: (request, context) => new ChatStream(request, context),
  openBody: (request, context) => new ChatBody(request, context),
  streamContentType: "text/event-stream; charset=utf-8",
  keepAliveFrame: KEEP_ALIVE_FRAME,
  toError: openaiError,
};
