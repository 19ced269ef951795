import { openaiError } from "../../lib/openai-error.ts";
import { answerOptions, tokenLimit } from "../answer-reply.ts";
import type { Protocol } from "../protocol.ts";
import { ChatBody } from "./body.ts";
import { stopSequences, toCodex } from "./request.ts";
import { parseChatRequest } from "./schema.ts";
import { ChatStream } from "./stream.ts";

/** OpenAI Chat Completions, the dialect that most clients speak. */
export const chat: Protocol = {
  name: "chat",
  read(body, context) {
    const request = parseChatRequest(body);
    const translation = toCodex(request, context);
    const maxTokens = tokenLimit(request["max_completion_tokens"] ?? request["max_tokens"]);
    const options = answerOptions(context, translation, { stopSequences: stopSequences(request), maxTokens });
    return {
      translation,
      isStreaming: request.stream === true,
      maxOutputTokens: maxTokens,
      stream: (send) => new ChatStream(request, context, options(false), send),
      body: () => new ChatBody(request, context, options(true)),
    };
  },
  streamFormat: "sse",
  toError: openaiError,
};
