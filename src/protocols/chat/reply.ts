import { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerEnd, AnswerEvent, AnswerOptions, AnswerPart } from "../../codex/output/events.ts";
import { ReasoningText } from "../../codex/output/reasoning-text.ts";
import type { Annotation, OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import type { Context, ReasoningMode } from "../protocol.ts";
import { toChatUsage } from "../usage.ts";
import type { ChatDelta, ChatEnd, FinishReason, UrlCitation } from "./delta.ts";
import { wantsJson } from "./format.ts";
import type { ChatRequest } from "./schema.ts";
import { ToolCalls } from "./tool-calls.ts";
import { renamedTools, usesLegacyFunctions } from "./tools.ts";

/** A chat answer as it comes: streamed as chunks, or folded into one body. */
export type ChatEvent =
  /** First of all, once: whose answer this is. */
  | { readonly type: "start"; readonly id: string; readonly created: number }
  | { readonly type: "delta"; readonly delta: ChatDelta }
  | ({ readonly type: "end" } & ChatEnd);

/** A reader of upstream events whose answer arrives as the events of one chat answer. */
export function chatReader(
  request: ChatRequest,
  context: Context,
  options: AnswerOptions,
  emit: (event: ChatEvent) => void,
): AnswerReader {
  const reply = new ChatReply(request, context, wantsJson(request), emit);
  return new AnswerReader(options, (event) => reply.onEvent(event));
}

class ChatReply {
  readonly #emit: (event: ChatEvent) => void;
  readonly #context: Context;
  readonly #isJson: boolean;
  readonly #mode: ReasoningMode;
  readonly #calls: ToolCalls;
  readonly #reasoning = new ReasoningText();
  /** Where in the content each part begins. */
  readonly #starts = new Map<AnswerPart, number>();
  /** Of the content so far. */
  #length = 0;
  #images = 0;
  readonly #citations: UrlCitation[] = [];
  #hasBegun = false;
  /** The item that text was last sent of, and what sets the next one apart. */
  #textItem = -1;
  #separator = "";
  /** A `<think>` is open. */
  #isThinking = false;

  constructor(request: ChatRequest, context: Context, isJson: boolean, emit: (event: ChatEvent) => void) {
    this.#emit = emit;
    this.#context = context;
    this.#isJson = isJson;
    // Tags in front of JSON would keep it from being parsed.
    this.#mode = isJson && context.reasoning === "think-tags" ? "both" : context.reasoning;
    this.#calls = new ToolCalls(renamedTools(request), usesLegacyFunctions(request));
  }

  onEvent(event: AnswerEvent): void {
    switch (event.type) {
      case "answerStart":
        this.#start(event.response);
        break;
      case "textStart":
        this.#startText(event.part);
        break;
      case "textDelta":
        this.#text(event.text);
        break;
      case "refusalDelta":
        this.#endThinking();
        this.#delta({ refusal: event.text });
        break;
      case "annotation":
        this.#citation(event.annotation, event.part);
        break;
      case "reasoningDelta":
        if (this.#mode !== "none") this.#think(this.#reasoning.push(event.part, event.text));
        break;
      case "reasoningEnd":
        this.#think(this.#reasoning.flush());
        break;
      case "toolCallStart":
        this.#other(this.#calls.first(event.call));
        break;
      case "toolCallDelta":
        this.#other(this.#calls.more(event.call, event.text));
        break;
      case "hostedToolEnd":
        this.#image(event.item);
        break;
      case "finish":
        this.#finish(event);
        break;
      case "toolCallEnd":
      case "encryptedReasoning":
    }
  }

  #start(response: ResponseObject): void {
    const id = response.id?.replace(/^resp_/, "") ?? this.#context.id;
    const seconds = typeof response.created_at === "number" ? response.created_at : this.#context.now / 1000;
    this.#emit({ type: "start", id: `chatcmpl-${id}`, created: Math.floor(seconds) });
  }

  #startText(part: AnswerPart): void {
    this.#endThinking();
    this.#role("");
    if (this.#textItem >= 0 && this.#textItem !== part.index && !this.#isJson) this.#separator = "\n\n";
    this.#textItem = part.index;
    if (!this.#starts.has(part)) this.#starts.set(part, this.#length + this.#separator.length);
  }

  #text(text: string): void {
    this.#endThinking();
    this.#content(this.#separator + text);
    this.#separator = "";
  }

  /** Upstream counts from the beginning of a part, and this API from that of the whole content. */
  #citation(annotation: Annotation, part: AnswerPart): void {
    const { type, url, title, start_index: from, end_index: to } = annotation;
    if (type !== "url_citation" || !url) return;
    const start = this.#starts.get(part) ?? 0;
    const citation = {
      start_index: typeof from === "number" ? start + from : 0,
      end_index: typeof to === "number" ? start + to : 0,
      url,
      title: title || url,
    };
    this.#citations.push({ type: "url_citation", url_citation: citation });
  }

  /** Of what hosted tools make only images have a place in a chat answer. */
  #image(item: OutputItem): void {
    if (item.type !== "image_generation_call" || !item.result) return;
    const url = `data:image/${item.output_format ?? "png"};base64,${item.result}`;
    this.#other({ images: [{ index: this.#images, type: "image_url", image_url: { url } }] });
    this.#images += 1;
  }

  #finish(end: AnswerEnd): void {
    this.#endThinking();
    this.#role("");
    // All in one: of two, one SDK keeps the last and another throws.
    if (this.#citations.length > 0) this.#delta({ annotations: this.#citations });
    this.#emit({
      type: "end",
      finishReason: this.#finishReason(end),
      usage: toChatUsage(end.usage),
      serviceTier: end.serviceTier,
    });
  }

  #finishReason({ reason, stopSequence }: AnswerEnd): FinishReason {
    if (reason !== "stop" || stopSequence !== undefined || !this.#calls.any) return reason;
    return this.#calls.isLegacy ? "function_call" : "tool_calls";
  }

  /** The role comes before everything else, once. `content: null` before a call, or SDKs see an empty text. */
  #role(content: "" | null): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#delta({ role: "assistant", content });
  }

  #think(text: string): void {
    if (text === "") return;
    this.#role(this.#mode === "think-tags" ? "" : null);
    switch (this.#mode) {
      case "both":
        this.#delta({ reasoning_content: text, reasoning: text });
        break;
      case "reasoning_content":
        this.#delta({ reasoning_content: text });
        break;
      case "reasoning":
        this.#delta({ reasoning: text });
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
    this.#delta({ content });
  }

  #delta(delta: ChatDelta): void {
    this.#emit({ type: "delta", delta });
  }

  #other(delta: ChatDelta | undefined): void {
    if (!delta) return;
    this.#endThinking();
    this.#role(null);
    this.#delta(delta);
  }
}
