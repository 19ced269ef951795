import type { ExchangeDialect } from "./exchange.ts";
import type { Dialect } from "./protocol.ts";

/** The dialects that the relay speaks. A new one is one folder and one entry here. */
export const DIALECTS: readonly Dialect[] = [
  {
    name: "chat",
    paths: ["/v1/chat/completions"],
    isOpenai: true,
    load: once(() => import("./chat/index.ts").then(({ chat }) => chat)),
  },
  {
    name: "responses",
    paths: ["/v1/responses"],
    extraRoutes: ["POST /v1/responses/input_tokens"],
    isOpenai: true,
    load: once(() => import("./responses/index.ts").then(({ responses }) => responses)),
  },
  {
    name: "completions",
    paths: ["/v1/completions"],
    isOpenai: true,
    load: once(() => import("./completions/index.ts").then(({ completions }) => completions)),
  },
  {
    name: "ollama",
    paths: ["/api/chat"],
    extraRoutes: ["GET /api/tags", "GET /api/ps", "GET /api/version", "POST /api/show", "POST /api/pull"],
    isOpenai: false,
    recognizes: (_headers, path) => path.startsWith("/api/"),
    load: once(() => import("./ollama/index.ts").then(({ ollamaChat }) => ollamaChat)),
  },
  {
    name: "ollama-generate",
    paths: ["/api/generate"],
    isOpenai: false,
    load: once(() => import("./ollama/index.ts").then(({ ollamaGenerate }) => ollamaGenerate)),
  },
  {
    name: "messages",
    paths: ["/v1/messages"],
    extraRoutes: ["POST /v1/messages/count_tokens"],
    isOpenai: false,
    recognizes: (headers) => headers.has("anthropic-version"),
    load: once(() => import("./messages/index.ts").then(({ messages }) => messages)),
  },
];

/** What other endpoints of the backend answer. A new one is a folder and an entry too. */
export const EXCHANGES: readonly ExchangeDialect[] = [
  {
    name: "compact",
    paths: ["/v1/responses/compact"],
    isOpenai: true,
    load: once(() => import("./responses/compact.ts").then(({ compact }) => compact)),
  },
  {
    name: "image-generations",
    paths: ["/v1/images/generations"],
    isOpenai: true,
    load: once(() => import("./images/index.ts").then(({ imageGenerations }) => imageGenerations)),
  },
  {
    name: "image-edits",
    paths: ["/v1/images/edits"],
    isOpenai: true,
    load: once(() => import("./images/index.ts").then(({ imageEdits }) => imageEdits)),
  },
  {
    name: "transcriptions",
    paths: ["/v1/audio/transcriptions"],
    isOpenai: true,
    load: once(() => import("./transcriptions/index.ts").then(({ transcriptions }) => transcriptions)),
  },
];

/** Building a dialect's schemas takes milliseconds, which a start has not got and a second request need not pay. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => (loaded ??= load());
}
