import { openaiError } from "../../lib/openai-error.ts";
import type { ExchangeProtocol } from "../exchange.ts";
import { transcribe } from "./dialogue.ts";
import { parseTranscriptionRequest } from "./schema.ts";

/** OpenAI's audio transcriptions. The backend has one model for them, whatever name a client asks for. */
export const transcriptions: ExchangeProtocol = {
  name: "transcriptions",
  takesForms: "always",
  read(body) {
    const request = parseTranscriptionRequest(body);
    return {
      dropped: request.dropped,
      changed: [
        ...(request.model === undefined ? [] : ["model"]),
        // Without times, and often without the language.
        ...(request.format === "verbose_json" ? ["response_format"] : []),
      ],
      model: request.model ?? "transcription",
      way: { dialogue: transcribe(request) },
    };
  },
  toError: openaiError,
};
