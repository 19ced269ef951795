import { isObject } from "../../lib/json.ts";
import { answerOptions, tokenLimit } from "../answer-reply.ts";
import type { ClientRequest, Context, Protocol, Translation } from "../protocol.ts";
import { toError } from "./error.ts";
import { loaded } from "./load.ts";
import { pull, running, show, tags, version } from "./models.ts";
import { CHAT, GENERATE, OllamaBody, OllamaStream, type Shape } from "./reply.ts";
import { chatToCodex, generateToCodex, stopSequences } from "./request.ts";
import { parseChat, parseGenerate, parseModelName, type OllamaRequest } from "./schema.ts";

const WIRE = { streamFormat: "ndjson", toError } as const;

/** Ollama streams unless told not to. */
function asked(request: OllamaRequest, translation: Translation, context: Context, shape: Shape): ClientRequest {
  const maxTokens = tokenLimit(request.options?.["num_predict"]);
  const options = answerOptions(context, translation, { stopSequences: stopSequences(request), maxTokens });
  return {
    translation,
    isStreaming: request.stream !== false,
    maxOutputTokens: maxTokens,
    stream: (send) => new OllamaStream({ request, context, shape, options: options(false) }, send),
    body: () => new OllamaBody({ request, context, shape, options: options(true) }),
  };
}

/** POST /api/chat, and what clients ask beside it. */
export const ollamaChat: Protocol = {
  ...WIRE,
  name: "ollama",
  read(body, context) {
    const request = parseChat(body);
    if ((request.messages ?? []).length === 0) return { reply: loaded(request, context, CHAT) };
    return asked(request, chatToCodex(request, context), context, CHAT);
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- other dialects have to wait here
  answerExtraRoute: async (path: string, body: unknown, context: Context): Promise<unknown> => {
    switch (path) {
      case "GET /api/tags":
        return tags(context);
      case "GET /api/ps":
        return running();
      case "GET /api/version":
        return version();
      case "POST /api/pull":
        return pull(context, parseModelName(body), !isObject(body) || body["stream"] !== false);
      default:
        return show(context, parseModelName(body));
    }
  },
};

/** POST /api/generate. */
export const ollamaGenerate: Protocol = {
  ...WIRE,
  name: "ollama-generate",
  read(body, context) {
    const request = parseGenerate(body);
    if (!request.prompt) return { reply: loaded(request, context, GENERATE) };
    return asked(request, generateToCodex(request, context), context, GENERATE);
  },
};
