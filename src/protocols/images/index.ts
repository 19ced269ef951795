import { openaiError } from "../../lib/openai-error.ts";
import type { ExchangeProtocol } from "../exchange.ts";
import { draw } from "./dialogue.ts";
import { imageModel } from "./models.ts";
import { parseImageRequest } from "./schema.ts";
import { ImageStream } from "./stream.ts";
import { toToolCall } from "./tool.ts";

/** OpenAI's image generation. Only the drawing tool shows pictures that are not finished, so streams always use it. */
export const imageGenerations: ExchangeProtocol = protocolOf("image-generations", false);

/** OpenAI's image edits: the same with pictures to start from, as files of a form or as URLs. */
export const imageEdits: ExchangeProtocol = protocolOf("image-edits", true);

function protocolOf(name: string, isEdit: boolean): ExchangeProtocol {
  return {
    name,
    takesForms: isEdit ? "also" : "never",
    read(body, context) {
      const request = parseImageRequest(body, isEdit);
      return {
        dropped: request.dropped,
        changed: request.changed,
        model: imageModel(request.model).model,
        way: request.isStreaming
          ? { translation: toToolCall(request, context), stream: (send) => new ImageStream(request, context, send) }
          : { dialogue: draw(request, context) },
      };
    },
    toError: openaiError,
  };
}
