import { countTokens } from "../../codex/count-tokens.ts";
import { answerOptions, tokenLimit } from "../answer-reply.ts";
import type { Protocol } from "../protocol.ts";
import { MessageBody } from "./body.ts";
import { voice } from "./error.ts";
import { toModel, toModelList } from "./models.ts";
import { offeredTools } from "./offered-tools.ts";
import type { AskedMessage } from "./reply.ts";
import { stopSequences, toCodex } from "./request.ts";
import { parseMessagesRequest } from "./schema.ts";
import { MessageStream } from "./stream.ts";
import { thinkingView } from "./thinking.ts";
import { renamedTools } from "./tools.ts";

/** Anthropic Messages, for Claude Code and the Anthropic SDK. */
export const messages: Protocol = {
  name: "messages",
  read(body, context) {
    const request = parseMessagesRequest(body);
    const offered = offeredTools(request);
    const translation = toCodex(request, context, offered);
    // None are asked for by clients that only want the question to be cached.
    const maxTokens = request.max_tokens === 0 ? 0 : tokenLimit(request.max_tokens);
    const options = answerOptions(context, translation, { stopSequences: stopSequences(request), maxTokens });
    const asked: AskedMessage = {
      model: request.model,
      thinking: thinkingView(request),
      originalNames: renamedTools(offered),
    };
    return {
      translation,
      isStreaming: request.stream === true,
      maxOutputTokens: maxTokens,
      stream: (send) => new MessageStream(asked, context, options(false), send),
      body: () => new MessageBody(asked, context, options(true)),
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
