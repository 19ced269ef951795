import type { Context, Protocol } from "../protocol.ts";
import { toError } from "./error.ts";
import { loaded } from "./load.ts";
import { running, show, tags, version } from "./models.ts";
import { CHAT, GENERATE, OllamaBody, OllamaStream } from "./reply.ts";
import { chatToCodex, generateToCodex } from "./request.ts";
import {
  parseChat,
  parseGenerate,
  parseModelName,
  type OllamaChatRequest,
  type OllamaGenerateRequest,
} from "./schema.ts";

/** Ollama streams unless told not to, one JSON object a line; between lines there is nothing harmless to send. */
const WIRE = { streamContentType: "application/x-ndjson", keepAliveFrame: "", toError } as const;

/** POST /api/chat, and what clients ask beside it. */
export const ollamaChat: Protocol<OllamaChatRequest> = {
  ...WIRE,
  name: "ollama",
  parse: parseChat,
  isStreaming: (request) => request.stream !== false,
  toCodex: chatToCodex,
  answerAlone: (request, context) =>
    (request.messages ?? []).length === 0 ? loaded(request, context, CHAT) : undefined,
  openStream: (request, context) => new OllamaStream(request, context, CHAT),
  openBody: (request, context) => new OllamaBody(request, context, CHAT),
  // eslint-disable-next-line @typescript-eslint/require-await -- other dialects have to wait here
  answerAside: async (path: string, body: unknown, context: Context): Promise<unknown> => {
    switch (path) {
      case "GET /api/tags":
        return tags(context);
      case "GET /api/ps":
        return running();
      case "GET /api/version":
        return version();
      default:
        return show(context, parseModelName(body));
    }
  },
};

/** POST /api/generate. */
export const ollamaGenerate: Protocol<OllamaGenerateRequest> = {
  ...WIRE,
  name: "ollama-generate",
  parse: parseGenerate,
  isStreaming: (request) => request.stream !== false,
  toCodex: generateToCodex,
  answerAlone: (request, context) => (request.prompt ? undefined : loaded(request, context, GENERATE)),
  openStream: (request, context) => new OllamaStream(request, context, GENERATE),
  openBody: (request, context) => new OllamaBody(request, context, GENERATE),
};
