import { openaiError } from "../../lib/openai-error.ts";
import type { ExchangeProtocol } from "../exchange.ts";
import { transcribe } from "./dialogue.ts";
import { parseTranscriptionRequest } from "./schema.ts";

/** What keys and logs call the one model that there is. */
const MODEL = "transcription";

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
      model: MODEL,
      way: { dialogue: transcribe(request) },
    };
  },
  toError: openaiError,
};
