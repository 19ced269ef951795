import { openaiError } from "../../lib/openai-error.ts";
import type { Protocol } from "../protocol.ts";
import { ChatBody } from "./body.ts";
import { toCodex } from "./request.ts";
import { parseChatRequest } from "./schema.ts";
import { ChatStream } from "./stream.ts";

/** OpenAI Chat Completions, the dialect that most clients speak. */
export const chat: Protocol = {
  name: "chat",
  read(body, context) {
    const request = parseChatRequest(body);
    return {
      translation: toCodex(request, context),
      isStreaming: request.stream === true,
      stream: (send) => new ChatStream(request, context, send),
      body: () => new ChatBody(request, context),
    };
  },
  streamFormat: "sse",
  toError: openaiError,
};
