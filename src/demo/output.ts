import type { JsonObject } from "../lib/json.ts";

/** One output item that the stand-in is going to send. */
export type Output =
  | { kind: "reasoning"; summary?: string; encrypted: string }
  | { kind: "message"; pieces: Iterable<string>; citation?: { url: string; title: string } }
  | { kind: "refusal"; text: string }
  | { kind: "function_call"; name: string; namespace?: string | undefined; arguments: string }
  | { kind: "custom_tool_call"; name: string; namespace?: string | undefined; input: string }
  | { kind: "local_shell_call"; command: string[] }
  | { kind: "web_search_call"; query: string }
  | { kind: "image_generation_call"; prompt: string; base64: string; options?: JsonObject }
  | { kind: "compaction" };

/** An event before it gets its place in the reply. */
type Draft = { type: string } & JsonObject;

/** Numbers for ids, unique within one stand-in. */
export type NextId = (prefix: string) => string;

/** The events of one output item, from `added` to `done`, without sequence numbers. Lazy, so that long texts cost nothing ahead. */
export function* itemEvents(output: Output, index: number, nextId: NextId): Generator<Draft, JsonObject> {
  switch (output.kind) {
    case "reasoning":
      return yield* reasoningEvents(output, index, nextId("rs"));
    case "message":
      return yield* messageEvents(output, index, nextId("msg"));
    case "refusal":
      return yield* refusalEvents(output.text, index, nextId("msg"));
    case "function_call":
      return yield* functionCallEvents(output, index, nextId);
    case "custom_tool_call":
      return yield* customCallEvents(output, index, nextId);
    case "web_search_call":
      return yield* webSearchEvents(output.query, index, nextId("ws"));
    case "image_generation_call":
      return yield* imageEvents(output, index, nextId("ig"));
    case "local_shell_call": {
      const action = { type: "exec", command: output.command, env: {} };
      const item = { id: nextId("lsh"), type: "local_shell_call", call_id: nextId("call"), action };
      return yield* wholeItem({ ...item, status: "completed" }, { ...item, status: "in_progress" }, index);
    }
    default: {
      const item = compactionItem(nextId("cmp"));
      return yield* wholeItem(item, item, index);
    }
  }
}

/** A shortened history. Its ciphertext is bound to its id, as the backend binds it (contract 0.6). */
export function compactionItem(id: string): JsonObject {
  return { id, type: "compaction", encrypted_content: sealed(`history ${id}`) };
}

/** Made-up ciphertext, which begins as the real one does. */
export function sealed(text: string): string {
  return `gAAAAAB${Buffer.from(`stand-in ${text}`).toString("base64url")}`;
}

function* wholeItem(done: JsonObject, begun: JsonObject, index: number): Generator<Draft, JsonObject> {
  yield { type: "response.output_item.added", output_index: index, item: begun };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

type Of<K extends Output["kind"]> = Extract<Output, { kind: K }>;

function* reasoningEvents(output: Of<"reasoning">, index: number, id: string): Generator<Draft, JsonObject> {
  const base = { id, type: "reasoning", encrypted_content: output.encrypted };
  yield { type: "response.output_item.added", output_index: index, item: { ...base, summary: [] } };
  const summary = output.summary === undefined ? [] : [{ type: "summary_text", text: output.summary }];
  for (const part of summary) {
    const at = { item_id: id, output_index: index, summary_index: 0 };
    yield { type: "response.reasoning_summary_part.added", ...at, part: { type: "summary_text", text: "" } };
    for (const delta of pieces(part.text)) {
      yield { type: "response.reasoning_summary_text.delta", ...at, delta, obfuscation: "x" };
    }
    yield { type: "response.reasoning_summary_text.done", ...at, text: part.text };
    yield { type: "response.reasoning_summary_part.done", ...at, part };
  }
  const item = { ...base, summary };
  yield { type: "response.output_item.done", output_index: index, item };
  return item;
}

function* messageEvents(output: Of<"message">, index: number, id: string): Generator<Draft, JsonObject> {
  const at = { item_id: id, output_index: index, content_index: 0 };
  const base = { id, type: "message", role: "assistant", phase: "final_answer" };
  const item = { ...base, status: "in_progress", content: [] };
  yield { type: "response.output_item.added", output_index: index, item };
  const empty = { type: "output_text", text: "", annotations: [], logprobs: [] };
  yield { type: "response.content_part.added", ...at, part: empty };
  const sent: string[] = [];
  for (const delta of output.pieces) {
    sent.push(delta);
    yield { type: "response.output_text.delta", ...at, delta, logprobs: [], obfuscation: "Q2x" };
  }
  const text = sent.join("");
  const annotations = output.citation
    ? [{ type: "url_citation", start_index: 0, end_index: text.length, ...output.citation }]
    : [];
  for (const annotation of annotations) {
    yield { type: "response.output_text.annotation.added", ...at, annotation_index: 0, annotation };
  }
  yield { type: "response.output_text.done", ...at, text, logprobs: [] };
  const part = { type: "output_text", text, annotations, logprobs: [] };
  yield { type: "response.content_part.done", ...at, part };
  const done = { ...base, status: "completed", content: [part] };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

function* refusalEvents(text: string, index: number, id: string): Generator<Draft, JsonObject> {
  const at = { item_id: id, output_index: index, content_index: 0 };
  const base = { id, type: "message", role: "assistant" };
  const item = { ...base, status: "in_progress", content: [] };
  yield { type: "response.output_item.added", output_index: index, item };
  yield { type: "response.content_part.added", ...at, part: { type: "refusal", refusal: "" } };
  for (const delta of pieces(text)) yield { type: "response.refusal.delta", ...at, delta };
  yield { type: "response.refusal.done", ...at, refusal: text };
  const part = { type: "refusal", refusal: text };
  yield { type: "response.content_part.done", ...at, part };
  const done = { ...base, status: "completed", content: [part] };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

function* functionCallEvents(output: Of<"function_call">, index: number, nextId: NextId): Generator<Draft, JsonObject> {
  const id = nextId("fc");
  const base = {
    id,
    type: "function_call",
    call_id: nextId("call"),
    name: output.name,
    ...(output.namespace === undefined ? {} : { namespace: output.namespace }),
  };
  const item = { ...base, status: "in_progress", arguments: "" };
  yield { type: "response.output_item.added", output_index: index, item };
  const at = { item_id: id, output_index: index };
  for (const delta of pieces(output.arguments)) {
    yield { type: "response.function_call_arguments.delta", ...at, delta, obfuscation: "x" };
  }
  yield { type: "response.function_call_arguments.done", ...at, arguments: output.arguments };
  const done = { ...base, status: "completed", arguments: output.arguments };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

function* customCallEvents(
  output: Of<"custom_tool_call">,
  index: number,
  nextId: NextId,
): Generator<Draft, JsonObject> {
  const id = nextId("ctc");
  const base = {
    id,
    type: "custom_tool_call",
    call_id: nextId("call"),
    name: output.name,
    ...(output.namespace === undefined ? {} : { namespace: output.namespace }),
  };
  const item = { ...base, status: "in_progress", input: "" };
  yield { type: "response.output_item.added", output_index: index, item };
  const at = { item_id: id, output_index: index };
  for (const delta of pieces(output.input)) yield { type: "response.custom_tool_call_input.delta", ...at, delta };
  yield { type: "response.custom_tool_call_input.done", ...at, input: output.input };
  const done = { ...base, status: "completed", input: output.input };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

function* webSearchEvents(query: string, index: number, id: string): Generator<Draft, JsonObject> {
  const base = { id, type: "web_search_call" };
  yield { type: "response.output_item.added", output_index: index, item: { ...base, status: "in_progress" } };
  for (const step of ["in_progress", "searching", "completed"]) {
    yield { type: `response.web_search_call.${step}`, output_index: index, item_id: id };
  }
  const done = { ...base, status: "completed", action: { type: "search", query, queries: [query] } };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

function* imageEvents(output: Of<"image_generation_call">, index: number, id: string): Generator<Draft, JsonObject> {
  const base = { id, type: "image_generation_call" };
  const at = { output_index: index, item_id: id };
  yield { type: "response.output_item.added", output_index: index, item: { ...base, status: "in_progress" } };
  yield { type: "response.image_generation_call.in_progress", ...at };
  yield { type: "response.image_generation_call.generating", ...at };
  const { partial_images: wanted, size, quality, background, output_format: format } = output.options ?? {};
  for (let part = 0; part < (typeof wanted === "number" ? wanted : 1); part += 1) {
    const type = "response.image_generation_call.partial_image";
    yield { type, ...at, partial_image_index: part, partial_image_b64: output.base64 };
  }
  yield { type: "response.image_generation_call.completed", ...at };
  const done = {
    ...base,
    status: "completed",
    revised_prompt: output.prompt,
    result: output.base64,
    output_format: format ?? "png",
    size: size ?? "1024x1024",
    quality: quality ?? "medium",
    background: background ?? "opaque",
  };
  yield { type: "response.output_item.done", output_index: index, item: done };
  return done;
}

/** A text in portions of a few words, never cutting a character in two. */
export function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,12}(?:\s+|$)|\S{1,12}|\s+/gu) ?? [];
}
