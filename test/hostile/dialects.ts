import { isObject, parseJson, type JsonObject } from "../../src/lib/json.ts";

/** How a client of a dialect asks, and how it understands what comes back. */
export interface Client {
  readonly name: string;
  readonly path: string;
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;
  readonly isStreaming: boolean;
  /** Words of the prompt that no other client's has. */
  readonly mark: string;
  /** Over a WebSocket in place of HTTP. */
  readonly isSocket: boolean;
  /** True for clients that take a stream without its end for what it is and ask again. */
  readonly knowsCuts: boolean;
  understand(status: number, text: string): Understood;
}

/** What a client believes after a reply; text that no client of the dialect could read throws. */
export interface Understood {
  readonly status: number;
  readonly end: "finished" | "failed" | "cut";
  /** What it has been told of the answer. */
  readonly text: string;
  /** Of the error, as the dialect says it; "" where it has no codes. */
  readonly code: string;
  readonly message: string;
}

interface Dialect {
  readonly name: string;
  readonly path: string;
  body(prompt: string): object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isVerbatim?: boolean;
  readonly isSocket?: boolean;
  /** The error in a refusal or a frame, if it is one. */
  errorOf(value: JsonObject): { code: string; message: string } | undefined;
  textOf(value: JsonObject): string;
  /** True for the frame or the whole reply that says: this is all of it, and it is good. */
  isGoodEnd(value: JsonObject): boolean;
  /** Streams are read as lines of JSON; else as events. */
  readonly isLines?: boolean;
}

const openaiError: Dialect["errorOf"] = ({ error }) =>
  isObject(error) ? { code: String(error["code"]), message: String(error["message"]) } : undefined;

/** A path into parsed JSON, as in `choices.0.delta`. */
function at(value: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, key) => (inner as JsonObject | undefined | null)?.[key], value);
}

const textAt = (value: unknown, ...paths: string[]) =>
  paths.map((path) => at(value, path)).find((text): text is string => typeof text === "string") ?? "";

const model = "gpt-5.5";
const messages = (content: string) => [{ role: "user", content }];

const responses: Dialect = {
  name: "responses",
  path: "/v1/responses",
  body: (input) => ({ model, input }),
  errorOf(value) {
    if (value["type"] === "response.failed") {
      return { code: textAt(value, "response.error.code"), message: textAt(value, "response.error.message") };
    }
    return value["object"] === "response" ? undefined : openaiError(value);
  },
  textOf: (value) =>
    value["type"] === "response.output_text.delta" ? textAt(value, "delta") : textAt(value, "output.0.content.0.text"),
  isGoodEnd: (value) => value["type"] === "response.completed" || value["status"] === "completed",
};

const codex: Dialect = { ...responses, name: "codex", headers: { originator: "codex_cli_rs" }, isVerbatim: true };

const ollamaError: Dialect["errorOf"] = ({ error }) =>
  typeof error === "string" ? { code: "", message: error } : undefined;

const DIALECTS: readonly Dialect[] = [
  {
    name: "chat",
    path: "/v1/chat/completions",
    body: (prompt) => ({ model, messages: messages(prompt) }),
    errorOf: openaiError,
    textOf: (value) => textAt(value, "choices.0.delta.content", "choices.0.message.content"),
    isGoodEnd: (value) => typeof at(value, "choices.0.finish_reason") === "string",
  },
  {
    name: "completions",
    path: "/v1/completions",
    body: (prompt) => ({ model, prompt }),
    errorOf: openaiError,
    textOf: (value) => textAt(value, "choices.0.text"),
    isGoodEnd: (value) => typeof at(value, "choices.0.finish_reason") === "string",
  },
  responses,
  codex,
  { ...responses, name: "responses socket", isSocket: true },
  { ...codex, name: "codex socket", isSocket: true },
  {
    name: "messages",
    path: "/v1/messages",
    body: (prompt) => ({ model, max_tokens: 100_000_000, messages: messages(prompt) }),
    headers: { "anthropic-version": "2023-06-01" },
    errorOf: (value) =>
      value["type"] === "error"
        ? { code: textAt(value, "error.details.error_code"), message: textAt(value, "error.message") }
        : undefined,
    textOf: (value) => textAt(value, "delta.text", "content.0.text"),
    isGoodEnd: (value) => value["type"] === "message_stop" || typeof value["stop_reason"] === "string",
  },
  {
    name: "ollama chat",
    path: "/api/chat",
    body: (prompt) => ({ model, messages: messages(prompt) }),
    errorOf: ollamaError,
    textOf: (value) => textAt(value, "message.content"),
    isGoodEnd: (value) => value["done"] === true,
    isLines: true,
  },
  {
    name: "ollama generate",
    path: "/api/generate",
    body: (prompt) => ({ model, prompt }),
    errorOf: ollamaError,
    textOf: (value) => textAt(value, "response"),
    isGoodEnd: (value) => value["done"] === true,
    isLines: true,
  },
];

/** Every dialect, streamed and whole; Codex clients and sockets only stream. */
export const CLIENTS: readonly Client[] = DIALECTS.flatMap((dialect) =>
  [true, false]
    .filter((isStreaming) => isStreaming || !(dialect.isVerbatim || dialect.isSocket))
    .map((isStreaming) => ({
      name: `${dialect.name}, ${isStreaming ? "streamed" : "whole"}`,
      path: dialect.path,
      body: { ...dialect.body(markOf(dialect, isStreaming)), stream: isStreaming },
      headers: dialect.headers ?? {},
      isStreaming,
      mark: markOf(dialect, isStreaming),
      isSocket: dialect.isSocket === true,
      knowsCuts: dialect.isVerbatim === true,
      understand: (status, text) =>
        isStreaming && status === 200 ? understandStream(dialect, text) : understandWhole(dialect, status, text),
    })),
);

function markOf({ name }: Dialect, isStreaming: boolean): string {
  return `Hi from ${name}, ${isStreaming ? "by and by" : "at once"}.`;
}

function understandWhole(dialect: Dialect, status: number, text: string): Understood {
  const value = parseJson(text);
  if (!isObject(value)) throw new Error(`not JSON: ${status} ${text.slice(0, 300)}`);
  const error = dialect.errorOf(value);
  if ((status === 200) === (error !== undefined)) throw new Error(`${status} with ${text.slice(0, 300)}`);
  if (error) return { status, end: "failed", text: "", ...error };
  if (!dialect.isGoodEnd(value)) throw new Error(`neither finished nor failed: ${text.slice(0, 300)}`);
  return { status, end: "finished", text: dialect.textOf(value), code: "", message: "" };
}

function understandStream(dialect: Dialect, wire: string): Understood {
  let [text, code, message] = ["", "", ""];
  let end: Understood["end"] = "cut";
  for (const value of valuesOf(dialect, wire)) {
    // Usage may follow the end; a second end or more of the answer may not.
    const error = dialect.errorOf(value);
    const isGood = dialect.isGoodEnd(value);
    const more = dialect.textOf(value);
    if (end !== "cut" && (error || isGood)) throw new Error(`a second end: ${wire.slice(-600)}`);
    if (end !== "cut" && more !== "") throw new Error(`text after the end: ${wire.slice(-600)}`);
    text += more;
    if (isGood) end = "finished";
    if (!error) continue;
    end = "failed";
    ({ code, message } = error);
  }
  return { status: 200, end, text, code, message };
}

function valuesOf(dialect: Dialect, wire: string): JsonObject[] {
  const separator = dialect.isLines ? "\n" : "\n\n";
  const frames = wire.split(separator);
  if (frames.pop() !== "") throw new Error(`torn in the middle of a frame: ${wire.slice(-300)}`);
  return frames.flatMap((frame) => {
    const data = dialect.isLines ? frame : dataOf(frame);
    if (data === undefined || data === "[DONE]") return [];
    const value = parseJson(data);
    if (!isObject(value)) throw new Error(`no JSON: ${frame.slice(0, 300)}`);
    return [value];
  });
}

/** Undefined for comments. */
function dataOf(frame: string): string | undefined {
  const lines = frame.split("\n").filter((line) => !line.startsWith(":"));
  if (lines.length === 0) return undefined;
  const data = lines.find((line) => line.startsWith("data: "));
  if (data === undefined) throw new Error(`a frame without data: ${frame.slice(0, 300)}`);
  return data.slice("data: ".length);
}
