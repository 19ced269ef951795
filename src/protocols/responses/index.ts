import { cutOf } from "../../codex/output/normalize.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { answerOptions, tokenLimit } from "../answer-reply.ts";
import type { Protocol, Send } from "../protocol.ts";
import { replyPart } from "./history.ts";
import { countInput } from "./input-tokens.ts";
import { toCodex } from "./request.ts";
import { ResponsesBody } from "./response.ts";
import { parseResponsesRequest } from "./schema.ts";
import { ResponsesStream, VerbatimStream } from "./stream.ts";

/** OpenAI Responses: the backend's own language, so mostly the identity. */
export const responses = {
  name: "responses",
  read(body, context) {
    const request = parseResponsesRequest(body);
    const translation = toCodex(request, context);
    const maxTokens = context.isCodexClient ? undefined : tokenLimit(request["max_output_tokens"]);
    const options = answerOptions(context, translation, { stopSequences: [], maxTokens });
    return {
      translation,
      isStreaming: request.stream === true,
      maxOutputTokens: maxTokens,
      stream: (send: Send) =>
        context.isCodexClient
          ? new VerbatimStream(send)
          : new ResponsesStream(replyPart(request), context, cutOf(options(false)), send),
      body: () => new ResponsesBody(replyPart(request), context, cutOf(options(true))),
    };
  },
  streamFormat: "sse",
  toError: openaiError,
  answerExtraRoute: (_extraRoute, body, context) => countInput(body, context),
} satisfies Protocol;
