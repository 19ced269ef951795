import { countTokens } from "../../codex/count-tokens.ts";
import { eventFrame } from "../../lib/sse.ts";
import type { Protocol } from "../protocol.ts";
import { MessageBody } from "./body.ts";
import { voice } from "./error.ts";
import { toModel, toModelList } from "./models.ts";
import { toCodex } from "./request.ts";
import { parseMessagesRequest, type MessagesRequest } from "./schema.ts";
import { MessageStream } from "./stream.ts";

/** Anthropic Messages, for Claude Code and the Anthropic SDK. */
export const messages: Protocol<MessagesRequest> = {
  name: "messages",
  parse: parseMessagesRequest,
  isStreaming: (request) => request.stream === true,
  toCodex,
  openStream: (request, context) => new MessageStream(request, context),
  openBody: (request, context) => new MessageBody(request, context),
  streamContentType: "text/event-stream; charset=utf-8",
  // This dialect has an event for it, which its clients know how to ignore.
  keepAliveFrame: eventFrame("ping", JSON.stringify({ type: "ping" })),
  ...voice,
  answerAside: async (_path, body, context) => ({
    input_tokens: await countTokens(toCodex(parseMessagesRequest(body), context).body),
  }),
  toModelList,
  toModel,
};
