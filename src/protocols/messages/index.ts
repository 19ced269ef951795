import { countTokens } from "../../codex/count-tokens.ts";
import type { Protocol } from "../protocol.ts";
import { MessageBody } from "./body.ts";
import { voice } from "./error.ts";
import { toModel, toModelList } from "./models.ts";
import { toCodex } from "./request.ts";
import { parseMessagesRequest } from "./schema.ts";
import { MessageStream } from "./stream.ts";

/** Anthropic Messages, for Claude Code and the Anthropic SDK. */
export const messages: Protocol = {
  name: "messages",
  read(body, context) {
    const request = parseMessagesRequest(body);
    return {
      translation: toCodex(request, context),
      isStreaming: request.stream === true,
      stream: (send) => new MessageStream(request, context, send),
      body: () => new MessageBody(request, context),
    };
  },
  streamFormat: "sse",
  keepAlive: { event: "ping", data: { type: "ping" } },
  ...voice,
  answerAside: async (_path, body, context) => ({
    input_tokens: await countTokens(toCodex(parseMessagesRequest(body), context).body),
  }),
  toModelList,
  toModel,
};
