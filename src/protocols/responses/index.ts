import { openaiError } from "../../lib/openai-error.ts";
import type { Protocol } from "../protocol.ts";
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
    return {
      translation: toCodex(request, context),
      isStreaming: request.stream === true,
      stream: (send) =>
        context.isCodexClient ? new VerbatimStream(send) : new ResponsesStream(request, context, send),
      body: () => new ResponsesBody(request, context),
    };
  },
  streamFormat: "sse",
  toError: openaiError,
  answerAside: (_aside, body, context) => countInput(body, context),
} satisfies Protocol;
