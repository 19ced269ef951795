import { expect } from "bun:test";
import type { WireEvent } from "../../src/codex/wire/event.ts";
import { RelayError } from "../../src/lib/errors.ts";
import { isObject, parseJson, type JsonObject } from "../../src/lib/json.ts";
import { streamed, whole, type Case } from "./cases.ts";

/** What a client would make of streamed chat chunks, by the rules of the official SDKs. */
function foldChat(frames: string) {
  const message: Record<string, unknown> & { tool_calls?: Record<string, Record<string, string>>[] } = {};
  let finishReason: string | null = null;
  for (const frame of frames.split("\n\n")) {
    if (!frame.startsWith("data: {")) continue;
    const chunk = JSON.parse(frame.slice("data: ".length)) as {
      choices?: { delta: Record<string, unknown>; finish_reason: string | null }[];
    };
    const [choice] = chunk.choices ?? [];
    if (!choice) continue;
    finishReason = choice.finish_reason ?? finishReason;
    for (const [key, value] of Object.entries(choice.delta)) {
      if (key === "tool_calls") mergeCalls((message.tool_calls ??= []), value as MergeDelta[]);
      else if (key === "function_call")
        message[key] = mergeStrings(
          message[key] as Record<string, string> | undefined,
          value as Record<string, string>,
        );
      else if (Array.isArray(value))
        message[key] = [...((message[key] as unknown[] | undefined) ?? []), ...(value as unknown[])];
      else if (typeof value === "string" && key !== "role")
        message[key] = ((message[key] as string | undefined) ?? "") + value;
      else if (key === "role") message[key] = value;
    }
  }
  return { message, finishReason };
}

interface MergeDelta {
  index: number;
  id?: string;
  type?: string;
  function?: Record<string, string>;
  custom?: Record<string, string>;
}

function mergeCalls(calls: Record<string, unknown>[], deltas: MergeDelta[]) {
  for (const { index, id, type, function: call, custom } of deltas) {
    expect(index).toBeLessThanOrEqual(calls.length);
    const known = (calls[index] ??= {});
    if (id !== undefined) known["id"] = id;
    if (type !== undefined) known["type"] = type;
    if (call) known["function"] = mergeStrings(known["function"] as Record<string, string> | undefined, call);
    if (custom) known["custom"] = mergeStrings(known["custom"] as Record<string, string> | undefined, custom);
  }
}

function mergeStrings(known: Record<string, string> = {}, more: Record<string, string>) {
  return {
    ...known,
    ...Object.fromEntries(Object.entries(more).map(([key, text]) => [key, (known[key] ?? "") + text])),
  };
}

/** Text and finish reason of streamed text completions. */
function foldCompletion(frames: string) {
  const folded = { text: "", reason: null as string | null };
  for (const line of frames.split("\n")) {
    if (!line.startsWith("data: {")) continue;
    const [choice] = (
      JSON.parse(line.slice("data: ".length)) as { choices: { text: string; finish_reason: string | null }[] }
    ).choices;
    if (!choice) continue;
    folded.text += choice.text;
    folded.reason = choice.finish_reason ?? folded.reason;
  }
  return [folded];
}

/** Ollama's lines as the one object that they stand for: texts joined, calls listed, the rest from the last line. */
function foldLines(frames: string): object {
  const text: Record<string, string> = {};
  const calls: unknown[] = [];
  let last: Record<string, unknown> = {};
  for (const line of frames.trimEnd().split("\n")) {
    last = JSON.parse(line) as Record<string, unknown>;
    const said = (last["message"] ?? last) as Record<string, unknown>;
    for (const key of ["content", "response", "thinking"]) {
      if (typeof said[key] === "string") text[key] = (text[key] ?? "") + said[key];
    }
    calls.push(...((said["tool_calls"] as unknown[] | undefined) ?? []));
  }
  const { message, ...rest } = last;
  if (message === undefined) return { ...rest, ...text };
  return { ...rest, message: { role: "assistant", ...text, ...(calls.length > 0 ? { tool_calls: calls } : {}) } };
}

type Block = Record<string, unknown> & { type: string; json?: string };

/** What a client would make of streamed message events. Blocks come one at a time, each closed before the next. */
function foldMessages(frames: string) {
  let message: Record<string, unknown> = {};
  const content: Block[] = [];
  let isOpen = false;
  for (const frame of frames.split("\n\n").filter((text) => text !== "")) {
    const event = JSON.parse(frame.slice(frame.indexOf("data: ") + "data: ".length)) as {
      type: string;
      index: number;
      message: Record<string, unknown>;
      content_block: Block;
      delta: Record<string, unknown>;
      usage: Record<string, unknown>;
    };
    expect(frame).toStartWith(`event: ${event.type}\n`);
    const block = content.at(-1);
    if (event.type.startsWith("content_block_")) {
      expect(isOpen).toBe(event.type !== "content_block_start");
      isOpen = event.type !== "content_block_stop";
      expect(event.index).toBe(event.type === "content_block_start" ? content.length : content.length - 1);
    }
    if (event.type === "message_start") message = event.message;
    else if (event.type === "content_block_start") content.push(event.content_block);
    else if (event.type === "content_block_delta") grow(block, event.delta);
    else if (event.type === "content_block_stop" && block?.json !== undefined) {
      const { json } = block;
      delete block.json;
      block["input"] = parsedInput(json);
    } else if (event.type === "message_delta") {
      message = { ...message, ...event.delta, usage: { ...(message["usage"] as object), ...event.usage } };
    }
  }
  expect(isOpen).toBe(false);
  return { ...message, content };
}

function grow(block: Block | undefined, delta: Record<string, unknown>) {
  if (!block) throw new Error("a delta without a block");
  const append = (key: string, text: unknown) =>
    (block[key] = `${(block[key] as string | undefined) ?? ""}${String(text)}`);
  if (delta["type"] === "text_delta") append("text", delta["text"]);
  else if (delta["type"] === "thinking_delta") append("thinking", delta["thinking"]);
  else if (delta["type"] === "signature_delta") append("signature", delta["signature"]);
  else if (delta["type"] === "input_json_delta") append("json", delta["partial_json"]);
  else block["citations"] = [...((block["citations"] as unknown[] | null) ?? []), delta["citation"]];
}

function parsedInput(json: string): unknown {
  const input = parseJson(json);
  return isObject(input) ? input : { INVALID_JSON: json };
}

/** Streamed and whole say the same, or are refused alike. */
export function expectOneReply(one: Case, events: readonly WireEvent[]): void {
  const stream = streamed(one, events);
  const body = whole(one, events);
  if (stream.refusal || body instanceof RelayError) {
    // A whole reply has no middle: what breaks a stream after output refuses it as a whole.
    expect(body).toBeInstanceOf(RelayError);
    if (stream.frames !== undefined) expect(stream.frames).toMatch(/"error":|response\.failed/);
    return;
  }
  const sameReply = SAME_REPLY[one.protocol.name];
  if (!sameReply) throw new Error(`There is no law for ${one.protocol.name}.`);
  sameReply(stream.frames, body as JsonObject);
}

/** For each dialect: what was streamed says what the whole reply says. */
const SAME_REPLY: Readonly<Record<string, (frames: string, body: JsonObject) => void>> = {
  responses(frames, body) {
    const last = /event: (?:response\.completed|response\.incomplete)\ndata: ([^\n]*)\n\n$/.exec(frames)?.[1];
    const { response } = JSON.parse(last ?? "{}") as { response: { id: string } };
    // A stream keeps the id that it began with, which upstream may not have said by then.
    expect(response).toEqual({ ...(body as object), id: response.id });
  },
  completions(frames, body) {
    const choices = body["choices"] as { text: string; finish_reason: string }[];
    expect(foldCompletion(frames)).toEqual(choices.map(({ text, finish_reason: reason }) => ({ text, reason })));
  },
  ollama: (frames, body) => expect(foldLines(frames)).toEqual(body),
  "ollama-generate": (frames, body) => expect(foldLines(frames)).toEqual(body),
  messages(frames, { usage, ...rest }) {
    // Usage is told in two halves; the tier only comes with the end, which a stream has no place for.
    const { usage: streamedUsage, ...streamedRest }: Record<string, unknown> = foldMessages(frames);
    expect(streamedRest).toEqual(rest);
    for (const name of ["input_tokens", "output_tokens", "cache_read_input_tokens", "server_tool_use"]) {
      expect((streamedUsage as JsonObject)[name]).toEqual((usage as JsonObject)[name]);
    }
  },
  chat(frames, body) {
    const choice = (body["choices"] as { message: JsonObject; finish_reason: string }[])[0];
    const { message, finishReason } = foldChat(frames);
    expect(finishReason).toBe(choice?.finish_reason ?? null);
    const { content, refusal, annotations, ...rest } = choice?.message ?? {};
    expect(message["content"] ?? "").toBe((content as string | null) ?? "");
    expect([message["refusal"] ?? null, message["annotations"] ?? []] as unknown[]).toEqual([refusal, annotations]);
    for (const [key, value] of Object.entries(rest)) expect(message[key]).toEqual(value);
  },
};
