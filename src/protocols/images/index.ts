import { openaiError } from "../../lib/openai-error.ts";
import type { ExchangeProtocol } from "../exchange.ts";
import { draw } from "./dialogue.ts";
import { imageModel } from "./models.ts";
import { parseImageRequest, type ImageRequest } from "./schema.ts";
import { ImageStream } from "./stream.ts";
import { changedFields, toToolCall } from "./tool.ts";

/** OpenAI's image generation. Only the drawing tool shows pictures that are not finished, so streams always use it. */
export const imageGenerations: ExchangeProtocol<ImageRequest> = protocolOf("image-generations", false);

/** OpenAI's image edits: the same with pictures to start from, as files of a form or as URLs. */
export const imageEdits: ExchangeProtocol<ImageRequest> = protocolOf("image-edits", true);

function protocolOf(name: string, isEdit: boolean): ExchangeProtocol<ImageRequest> {
  return {
    name,
    takesForms: isEdit ? "also" : "never",
    parse: (body) => parseImageRequest(body, isEdit),
    toExchange: (request, context) => ({
      dropped: request.dropped,
      changed: changedFields(request),
      model: imageModel(request.model).model,
      way: request.isStreaming
        ? {
            translation: toToolCall(request, context),
            stream: new ImageStream(request, context),
            contentType: "text/event-stream; charset=utf-8",
          }
        : { dialogue: draw(request, context) },
    }),
    toError: openaiError,
  };
}
