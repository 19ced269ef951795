import { countTokens } from "../../codex/count-tokens.ts";
import { answerOptions, tokenLimit } from "../answer-reply.ts";
import type { Protocol } from "../protocol.ts";
import { MessageBody } from "./body.ts";
import { voice } from "./error.ts";
import { toModel, toModelList } from "./models.ts";
import { stopSequences, toCodex } from "./request.ts";
import { parseMessagesRequest } from "./schema.ts";
import { MessageStream } from "./stream.ts";

/** Anthropic Messages, for Claude Code and the Anthropic SDK. */
export const messages: Protocol = {
  name: "messages",
  read(body, context) {
    const request = parseMessagesRequest(body);
    const translation = toCodex(request, context);
    // None are asked for by clients that only want the question to be cached.
    const maxTokens = request.max_tokens === 0 ? 0 : tokenLimit(request.max_tokens);
    const options = answerOptions(context, translation, { stopSequences: stopSequences(request), maxTokens });
    return {
      translation,
      isStreaming: request.stream === true,
      maxOutputTokens: maxTokens,
      stream: (send) => new MessageStream(request, context, options(false), send),
      body: () => new MessageBody(request, context, options(true)),
    };
  },
  streamFormat: "sse",
  keepAlive: { event: "ping", data: { type: "ping" } },
  ...voice,
  answerExtraRoute: async (_path, body, context) => ({
    input_tokens: await countTokens(toCodex(parseMessagesRequest(body), context).body),
  }),
  toModelList,
  toModel,
};
