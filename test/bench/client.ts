/** Who is asked: the relay in one of its dialects, the pass-through or the backend itself in the backend's own form. */
export interface Target {
  readonly name: "relay" | "raw" | "direct";
  readonly url: string;
}

export type Dialect = "chat" | "responses" | "messages";

export interface Asking {
  readonly dialect?: Dialect;
  /** The backend streams always; false asks the relay for a whole reply. */
  readonly stream?: boolean;
  /** Text of the messages before the wish, user and assistant in turn. */
  readonly history?: readonly string[];
}

const MODEL = "gpt-5.5";

/** A request for what `wish` says, in the target's own form. Prepared ahead, so that sending is all that is timed. */
export interface Prepared {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export function prepare(target: Target, wish: string, asking: Asking = {}): Prepared {
  const { dialect = "chat", stream = true, history = [] } = asking;
  const [path, body] = formOf(target.name === "relay" ? dialect : "codex", [...history, wish], stream);
  const headers = {
    "content-type": "application/json",
    ...(dialect === "messages" ? { "anthropic-version": "2023-06-01" } : {}),
  };
  return { url: target.url + path, headers, body: JSON.stringify(body) };
}

/** Path and body, the texts being the user's and the assistant's in turn. */
function formOf(form: Dialect | "codex", texts: readonly string[], stream: boolean): [path: string, body: object] {
  const messages = texts.map((content, index) => ({ role: index % 2 === 0 ? "user" : "assistant", content }));
  const common = { model: MODEL, stream };
  switch (form) {
    case "chat":
      return ["/v1/chat/completions", { ...common, messages, tools: [{ type: "function", function: TOOL }] }];
    case "messages":
      return ["/v1/messages", { ...common, max_tokens: 100_000_000, messages }];
    case "responses":
      return ["/v1/responses", { ...common, store: false, input: messages }];
    default:
      return ["/responses", codexBody(texts)];
  }
}

const TOOL = { name: "write_file", parameters: { type: "object", properties: { text: { type: "string" } } } };

function codexBody(texts: readonly string[]) {
  return {
    model: MODEL,
    instructions: "",
    input: texts.map((text, index) => ({
      type: "message",
      role: index % 2 === 0 ? "user" : "assistant",
      content: [{ type: index % 2 === 0 ? "input_text" : "output_text", text }],
    })),
    tools: [{ type: "function", ...TOOL }],
    include: ["reasoning.encrypted_content"],
    store: false,
    stream: true,
  };
}

/** Throws when the answer is a refusal. */
export async function send({ url, headers, body }: Prepared, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(url, { method: "POST", headers, body, ...(signal ? { signal } : {}) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response;
}

/** Asks and reads to the end. Returns the number of bytes. */
export async function readAll(prepared: Prepared): Promise<number> {
  const response = await send(prepared);
  let bytes = 0;
  for await (const chunk of response.body ?? []) bytes += chunk.length;
  return bytes;
}

/** Milliseconds to the first piece of the answer. */
export async function timeToDelta(prepared: Prepared): Promise<number> {
  const begun = performance.now();
  const response = await send(prepared);
  let firstMs: number | undefined;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (firstMs === undefined && text.includes('"delta"')) firstMs = performance.now() - begun;
  }
  if (firstMs === undefined) throw new Error(`no delta from ${prepared.url}: ${text.slice(0, 300)}`);
  return firstMs;
}

/** Enough to hold a last event. In characters. */
const TAIL = 4000;

/** Reads a stream of the backend's numbered words. True when each came, once and in its place, and the end came too. */
export async function isIntact(prepared: Prepared, words: number): Promise<boolean> {
  const response = await send(prepared);
  const decoder = new TextDecoder();
  let expected = 0;
  let line = "";
  let tail = "";
  for await (const chunk of response.body ?? []) {
    const text = line + decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n") + 1;
    for (const [, number] of text.slice(0, end).matchAll(/"(?:content|delta)":"word(\d+) "/g)) {
      if (Number(number) !== expected) return false;
      expected += 1;
    }
    line = text.slice(end);
    tail = (tail + text.slice(0, end)).slice(-TAIL);
  }
  return expected === words && /\[DONE\]|response\.completed|message_stop/.test(tail);
}
