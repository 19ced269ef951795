import { openaiError } from "../../lib/openai-error.ts";
import { KEEP_ALIVE_FRAME } from "../../lib/sse.ts";
import type { Protocol } from "../protocol.ts";
import { countInput } from "./input-tokens.ts";
import { toCodex } from "./request.ts";
import { ResponsesBody } from "./response.ts";
import { parseResponsesRequest, type ResponsesRequest } from "./schema.ts";
import { SafeStream, VerbatimStream } from "./stream.ts";

/** OpenAI Responses: the backend's own language, so mostly the identity. */
export const responses: Protocol<ResponsesRequest> = {
  name: "responses",
  parse: parseResponsesRequest,
  isStreaming: (request) => request.stream === true,
  toCodex,
  openStream: (request, context) => (context.isCodexClient ? new VerbatimStream() : new SafeStream(request, context)),
  openBody: (request, context) => new ResponsesBody(request, context),
  streamContentType: "text/event-stream; charset=utf-8",
  keepAliveFrame: KEEP_ALIVE_FRAME,
  toError: openaiError,
  answerAside: (_aside, body, context) => countInput(body, context),
};
