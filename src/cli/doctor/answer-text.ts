import { isObject, parseJson } from "../../lib/json.ts";

/** What came back, whole or in pieces. */
export interface Said {
  readonly text: string;
  /** It came to its proper end. */
  readonly isWhole: boolean;
  /** The error inside a stream that had begun well. */
  readonly failure?: string;
}

/** A Chat Completions reply. */
export function textOfChat(raw: string): Said {
  const text = textAt(parseJson(raw), ["choices", 0, "message", "content"]);
  return { text, isWhole: true };
}

/** A Chat Completions stream; `[DONE]` ends it. */
export function textOfChatStream(raw: string): Said {
  const frames = dataOf(raw);
  return {
    text: frames.map((frame) => textAt(frame, ["choices", 0, "delta", "content"])).join(""),
    isWhole: /^data: ?\[DONE\]/m.test(raw),
    ...failureIn(frames.map((frame) => textAt(frame, ["error", "message"]))),
  };
}

/** A text completion. */
export function textOfCompletion(raw: string): Said {
  return { text: textAt(parseJson(raw), ["choices", 0, "text"]), isWhole: true };
}

/** An Anthropic message; its thinking comes before the text. */
export function textOfMessage(raw: string): Said {
  const body = parseJson(raw);
  const content = isObject(body) && Array.isArray(body["content"]) ? body["content"] : [];
  return { text: content.map((block) => textAt(block, ["text"])).join(""), isWhole: true };
}

/** An Ollama chat reply. */
export function textOfOllama(raw: string): Said {
  const body = parseJson(raw);
  return { text: textAt(body, ["message", "content"]), isWhole: isObject(body) && body["done"] === true };
}

/** A Responses reply. */
export function textOfResponse(raw: string): Said {
  const body = parseJson(raw);
  const output = isObject(body) && Array.isArray(body["output"]) ? body["output"] : [];
  return { text: output.map((item) => textAt(item, ["content", 0, "text"])).join(""), isWhole: true };
}

/** A Responses stream; `response.completed` ends it. */
export function textOfResponseStream(raw: string): Said {
  const frames = dataOf(raw);
  const ofType = (type: string) => frames.filter((frame) => isObject(frame) && frame["type"] === type);
  return {
    text: ofType("response.output_text.delta")
      .map((frame) => textAt(frame, ["delta"]))
      .join(""),
    isWhole: ofType("response.completed").length > 0,
    ...failureIn([
      ...ofType("response.failed").map((frame) => textAt(frame, ["response", "error", "message"])),
      ...ofType("error").map((frame) => textAt(frame, ["error", "message"]) || textAt(frame, ["message"])),
    ]),
  };
}

function failureIn(messages: readonly string[]): { failure?: string } {
  const failure = messages.find((message) => message !== "");
  return failure === undefined ? {} : { failure };
}

function dataOf(raw: string): unknown[] {
  return raw
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => parseJson(line.slice("data:".length)));
}

/** The text at a path of keys; "" when there is none. */
function textAt(value: unknown, path: readonly (string | number)[]): string {
  let at: unknown = value;
  for (const key of path) {
    at = typeof key === "number" ? (Array.isArray(at) ? at[key] : undefined) : isObject(at) ? at[key] : undefined;
  }
  return typeof at === "string" ? at : "";
}
