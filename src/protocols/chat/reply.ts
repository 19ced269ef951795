import { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerCall } from "../../codex/output/calls.ts";
import type { AnswerPart } from "../../codex/output/parts.ts";
import type { AnswerEnd, AnswerSink } from "../../codex/output/answer-sink.ts";
import { ReasoningText } from "../../codex/output/reasoning-text.ts";
import type { Annotation, OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import type { Context, ReasoningMode } from "../protocol.ts";
import { toChatUsage } from "../usage.ts";
import type { ChatDelta, ChatEnd, FinishReason } from "./delta.ts";
import { wantsJson } from "./format.ts";
import { stopSequences } from "./request.ts";
import type { ChatRequest } from "./schema.ts";
import { ToolCalls } from "./tool-calls.ts";
import { renamedTools, usesLegacyFunctions } from "./tools.ts";

/** Where the deltas of an answer go: into frames, or folded into one body. */
export interface ChatSink {
  /** First of all, once: whose answer this is. */
  begin(id: string, created: number): void;
  delta(delta: ChatDelta): void;
  end(end: ChatEnd): void;
}

/** A reader of upstream events whose answer arrives at `sink` as the deltas of one chat answer. */
export function chatReader(request: ChatRequest, context: Context, sink: ChatSink): AnswerReader {
  const isJson = wantsJson(request);
  const { memory, now } = context;
  const reply = new ChatReply(request, context, isJson, sink);
  return new AnswerReader({ stopSequences: stopSequences(request), isJson, memory, now }, reply);
}

class ChatReply implements AnswerSink {
  readonly #sink: ChatSink;
  readonly #context: Context;
  readonly #isJson: boolean;
  readonly #mode: ReasoningMode;
  readonly #calls: ToolCalls;
  readonly #reasoning = new ReasoningText();
  readonly #citations = new Set<string>();
  readonly #images = new Set<number>();
  /** Where in the content each part begins. */
  readonly #starts = new Map<AnswerPart, number>();
  /** Of the content so far. */
  #length = 0;
  #hasBegun = false;
  /** The item that text was last sent of, and what sets the next one apart. */
  #textSlot = -1;
  #separator = "";
  /** A `<think>` is open. */
  #isThinking = false;

  constructor(request: ChatRequest, context: Context, isJson: boolean, sink: ChatSink) {
    this.#sink = sink;
    this.#context = context;
    this.#isJson = isJson;
    // Tags in front of JSON would keep it from being parsed.
    this.#mode = isJson && context.reasoning === "think-tags" ? "both" : context.reasoning;
    this.#calls = new ToolCalls(renamedTools(request), usesLegacyFunctions(request));
  }

  begin(response: ResponseObject): void {
    const id = response.id?.replace(/^resp_/, "") ?? this.#context.id;
    const seconds = typeof response.created_at === "number" ? response.created_at : this.#context.now / 1000;
    this.#sink.begin(`chatcmpl-${id}`, Math.floor(seconds));
  }

  turn(part: AnswerPart): void {
    this.#endThinking();
    this.#role("");
    if (this.#textSlot >= 0 && this.#textSlot !== part.slot && !this.#isJson) this.#separator = "\n\n";
    this.#textSlot = part.slot;
    if (!this.#starts.has(part)) this.#starts.set(part, this.#length + this.#separator.length);
  }

  text(text: string): void {
    this.#endThinking();
    this.#content(this.#separator + text);
    this.#separator = "";
  }

  refusal(refusal: string): void {
    this.#endThinking();
    this.#sink.delta({ refusal });
  }

  thought(text: string, part: AnswerPart): void {
    if (this.#mode !== "none") this.#think(this.#reasoning.push(part, text));
  }

  thoughtEnd(): void {
    this.#think(this.#reasoning.flush());
  }

  call(call: AnswerCall): void {
    this.#other(this.#calls.first(call));
  }

  callDelta(call: AnswerCall, text: string): void {
    this.#other(this.#calls.more(call, text));
  }

  /** Upstream counts from the beginning of a part, and this API from that of the whole content. */
  citation(annotation: Annotation, part: AnswerPart): void {
    const { type, url, title, start_index: from, end_index: to } = annotation;
    if (type !== "url_citation" || !url) return;
    const key = JSON.stringify([part.slot, part.position, from, to, url, title]);
    if (this.#citations.has(key)) return;
    this.#citations.add(key);
    const start = this.#starts.get(part) ?? 0;
    const citation = {
      start_index: typeof from === "number" ? start + from : 0,
      end_index: typeof to === "number" ? start + to : 0,
      url,
      title: title || url,
    };
    this.#role("");
    this.#sink.delta({ annotations: [{ type: "url_citation", url_citation: citation }] });
  }

  /** Only images have a place in a chat answer. */
  hosted(item: OutputItem, slot: number): void {
    if (item.type !== "image_generation_call" || !item.result || this.#images.has(slot)) return;
    const url = `data:image/${item.output_format ?? "png"};base64,${item.result}`;
    this.#other({ images: [{ index: this.#images.size, type: "image_url", image_url: { url } }] });
    this.#images.add(slot);
  }

  end(end: AnswerEnd): void {
    this.#endThinking();
    this.#role("");
    this.#sink.end({
      finishReason: this.#finishReason(end),
      usage: end.stopSequence === undefined ? toChatUsage(end.usage) : undefined,
      serviceTier: end.serviceTier,
    });
  }

  callEnd(): void {}
  sealed(): void {}

  #finishReason({ reason, stopSequence }: AnswerEnd): FinishReason {
    if (reason !== "stop" || stopSequence !== undefined || !this.#calls.any) return reason;
    return this.#calls.isLegacy ? "function_call" : "tool_calls";
  }

  /** The role comes before everything else, once. `content: null` before a call, or SDKs see an empty text. */
  #role(content: "" | null): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#sink.delta({ role: "assistant", content });
  }

  #think(text: string): void {
    if (text === "") return;
    this.#role(this.#mode === "think-tags" ? "" : null);
    switch (this.#mode) {
      case "both":
        this.#sink.delta({ reasoning_content: text, reasoning: text });
        break;
      case "reasoning_content":
        this.#sink.delta({ reasoning_content: text });
        break;
      case "reasoning":
        this.#sink.delta({ reasoning: text });
        break;
      case "think-tags":
        this.#content(this.#isThinking ? text : `<think>${text.replace(/^\n\n/, "")}`);
        this.#isThinking = true;
        break;
      case "none":
    }
  }

  #endThinking(): void {
    if (!this.#isThinking) return;
    this.#isThinking = false;
    this.#content("</think>");
  }

  #content(content: string): void {
    this.#length += content.length;
    this.#sink.delta({ content });
  }

  #other(delta: ChatDelta | undefined): void {
    if (!delta) return;
    this.#endThinking();
    this.#role(null);
    this.#sink.delta(delta);
  }
}
