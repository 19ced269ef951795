import { failureOf, truncated } from "../../codex/failure.ts";
import type { Annotation, ContentPart, InputItem, OutputItem, ResponseObject } from "../../codex/schema.ts";
import type { WireEvent } from "../../codex/wire-event.ts";
import type { Context, ReasoningMode } from "../protocol.ts";
import type { ChatDelta, ChatEnd } from "./delta.ts";
import { toFinishReason } from "./finish-reason.ts";
import { wantsJson } from "./format.ts";
import { ItemSlots } from "../../codex/item-slots.ts";
import { ReasoningText } from "../../codex/reasoning-text.ts";
import { stopSequences } from "./request.ts";
import type { ChatRequest } from "./schema.ts";
import { StopScanner } from "../../codex/stop.ts";
import { ToolCalls } from "./tool-calls.ts";
import { renamedTools, usesLegacyFunctions } from "./tools.ts";
import { objectsOf, readEvent, responseOf, textOf } from "../../codex/trusted.ts";
import { toChatUsage } from "./usage.ts";

/** Where the pieces of an answer go: into frames, or folded into one body. */
export interface ChatSink {
  /** First of all, once: whose answer this is. */
  begin(id: string, created: number): void;
  delta(delta: ChatDelta): void;
  end(end: ChatEnd): void;
}

/**
 * Upstream events → the deltas of one chat answer. The only state machine for streamed and whole replies alike, so
 * that the two can never disagree.
 */
export class ChatReply {
  isDone = false;
  readonly #sink: ChatSink;
  readonly #context: Context;
  readonly #isJson: boolean;
  readonly #mode: ReasoningMode;
  readonly #stop: StopScanner;
  readonly #calls: ToolCalls;
  readonly #slots = new ItemSlots();
  readonly #reasoning = new ReasoningText();
  /** Text, refusals and summaries sent so far, by item and part: what later `done` events repeat. */
  readonly #sent = new Map<string, string>();
  /** Those of them that are known to be whole: a delta that comes after is a repetition. */
  readonly #whole = new Set<string>();
  /** Items whose text is a comment on the way to the answer. */
  readonly #commentary = new Set<number>();
  readonly #citations = new Set<string>();
  readonly #images = new Set<number>();
  /** Reasoning items that have ended; the end of the answer may repeat them. */
  readonly #thoughtItems = new Set<number>();
  /** Reasoning that the next tool call will be remembered with. */
  #pendingReasoning: InputItem[] = [];
  #hasAnnounced = false;
  #hasBegun = false;
  /** The item that text was last sent of, and what sets the next one apart. */
  #textSlot = -1;
  #separator = "";
  #isReasoning = false;
  /** A `<think>` is open. */
  #isThinking = false;

  constructor(request: ChatRequest, context: Context, sink: ChatSink) {
    this.#sink = sink;
    this.#context = context;
    this.#isJson = wantsJson(request);
    // Tags in front of JSON would keep it from being parsed.
    this.#mode = this.#isJson && context.reasoning === "think-tags" ? "both" : context.reasoning;
    this.#stop = new StopScanner(stopSequences(request));
    this.#calls = new ToolCalls(renamedTools(request), usesLegacyFunctions(request));
  }

  /** Throws RelayError when upstream reports a failure. */
  onEvent(wire: WireEvent): void {
    if (this.isDone) return;
    const event = readEvent(wire);
    if (!event) return;
    const failure = failureOf(wire, this.#now);
    if (failure) throw failure;
    switch (event.type) {
      case "response.created":
      case "response.in_progress":
      case "response.queued":
        this.#announce(responseOf(event));
        break;
      case "response.output_text.delta":
        this.#textDelta(this.#slots.of(event), event.content_index ?? 0, event.delta);
        break;
      case "response.output_text.done":
        this.#restOfText(this.#slots.of(event), event.content_index ?? 0, event.text);
        break;
      case "response.content_part.done":
        this.#part(this.#slots.of(event), event.content_index ?? 0, event.part);
        break;
      case "response.output_text.annotation.added":
        this.#citation(event.annotation);
        break;
      case "response.refusal.delta":
        this.#refusal(`${this.#slots.of(event)}/${event.content_index ?? 0}`, event.delta);
        break;
      case "response.refusal.done":
        this.#wholeRefusal(`${this.#slots.of(event)}/${event.content_index ?? 0}`, event.refusal);
        break;
      case "response.reasoning_summary_text.delta":
        this.#thought(`${this.#slots.of(event)}/s${event.summary_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_summary_text.done":
        this.#restOfThought(`${this.#slots.of(event)}/s${event.summary_index ?? 0}`, event.text);
        break;
      case "response.reasoning_text.delta":
        this.#thought(`${this.#slots.of(event)}/t${event.content_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_text.done":
        this.#restOfThought(`${this.#slots.of(event)}/t${event.content_index ?? 0}`, event.text);
        break;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        this.#send(this.#calls.delta(this.#slots.of(event), textOf(event.delta)));
        break;
      case "response.function_call_arguments.done":
        this.#send(this.#calls.settle(this.#slots.of(event), textOf(event.arguments)));
        break;
      case "response.custom_tool_call_input.done":
        this.#send(this.#calls.settle(this.#slots.of(event), textOf(event.input)));
        break;
      case "response.output_item.added":
        this.#itemAdded(event.item, this.#slotOf(event.item, event.output_index));
        break;
      case "response.output_item.done":
        this.#itemDone(event.item, this.#slotOf(event.item, event.output_index));
        break;
      case "response.completed":
      case "response.done":
      case "response.incomplete":
        this.#finish(event.type, responseOf(event));
        break;
      default:
      // Progress of hosted tools, private events, and whatever is newer than the relay.
    }
    if (this.#stop.isHit && !this.isDone) this.#end({ finishReason: "stop", usage: undefined, serviceTier: undefined });
  }

  /** Upstream ended. Throws unless the answer was complete. */
  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  get #now(): number {
    return this.#context.now;
  }

  #announce(response: ResponseObject): void {
    if (this.#hasAnnounced) return;
    this.#hasAnnounced = true;
    const id = response.id?.replace(/^resp_/, "") ?? this.#context.id;
    const seconds = typeof response.created_at === "number" ? response.created_at : this.#now / 1000;
    this.#sink.begin(`chatcmpl-${id}`, Math.floor(seconds));
  }

  /** The role comes before everything else, once. `content: null` before a call, or SDKs see an empty text. */
  #role(content: "" | null): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#announce({});
    this.#sink.delta({ role: "assistant", content });
  }

  #text(slot: number, position: number, text: string): void {
    if (!text) return;
    this.#remember(`${slot}/${position}`, text);
    // A parser gets the answer alone; the model's remarks on the way belong to its reasoning there.
    if (this.#isJson && this.#commentary.has(slot)) {
      this.#showThought(`${slot}/c`, text);
      return;
    }
    this.#endReasoning();
    this.#role("");
    if (this.#textSlot !== slot) {
      this.#flushText();
      if (this.#textSlot >= 0 && !this.#isJson) this.#separator = "\n\n";
      this.#textSlot = slot;
    }
    this.#showText(this.#stop.push(text));
  }

  #textDelta(slot: number, position: number, text: string): void {
    if (!this.#whole.has(`${slot}/${position}`)) this.#text(slot, position, text);
  }

  #restOfText(slot: number, position: number, whole: string): void {
    this.#text(slot, position, this.#unsent(`${slot}/${position}`, whole));
  }

  #showText(text: string): void {
    if (text === "") return;
    this.#sink.delta({ content: this.#separator + text });
    this.#separator = "";
  }

  #flushText(): void {
    this.#showText(this.#stop.flush());
  }

  #refusal(key: string, text: string): void {
    if (!text) return;
    this.#remember(key, text);
    this.#endReasoning();
    this.#role("");
    this.#sink.delta({ refusal: text });
  }

  #wholeRefusal(key: string, whole: string): void {
    if (!this.#sent.has(key)) this.#refusal(key, whole);
  }

  #thought(key: string, text: string): void {
    if (!text || this.#whole.has(key)) return;
    this.#remember(key, text);
    this.#showThought(key, text);
  }

  #restOfThought(key: string, whole: string): void {
    const rest = this.#unsent(key, whole);
    if (rest) {
      this.#remember(key, rest);
      this.#showThought(key, rest);
    }
    this.#emitThought(this.#reasoning.flush());
  }

  #showThought(part: string, text: string): void {
    if (this.#mode === "none") return;
    this.#isReasoning = true;
    this.#emitThought(this.#reasoning.push(part, text));
  }

  #emitThought(text: string): void {
    if (text === "") return;
    switch (this.#mode) {
      case "both":
        this.#role(null);
        this.#sink.delta({ reasoning_content: text, reasoning: text });
        break;
      case "reasoning_content":
        this.#role(null);
        this.#sink.delta({ reasoning_content: text });
        break;
      case "reasoning":
        this.#role(null);
        this.#sink.delta({ reasoning: text });
        break;
      case "think-tags":
        this.#role("");
        this.#flushText();
        this.#sink.delta({ content: this.#isThinking ? text : `<think>${text.replace(/^\n\n/, "")}` });
        this.#isThinking = true;
        break;
      case "none":
    }
  }

  /** Something else than reasoning follows. */
  #endReasoning(): void {
    if (!this.#isReasoning) return;
    this.#isReasoning = false;
    this.#emitThought(this.#reasoning.flush());
    if (!this.#isThinking) return;
    this.#isThinking = false;
    this.#sink.delta({ content: "</think>" });
  }

  #send(deltas: readonly ChatDelta[]): void {
    if (deltas.length === 0) return;
    this.#flushText();
    this.#endReasoning();
    this.#role(null);
    for (const delta of deltas) this.#sink.delta(delta);
  }

  #slotOf(item: OutputItem, index: number): number {
    const slot = this.#slots.of({ output_index: index, item_id: item.id });
    this.#slots.name(slot, item.call_id);
    return slot;
  }

  #itemAdded(item: OutputItem, slot: number): void {
    if (item.type === "message" && item.phase === "commentary") this.#commentary.add(slot);
    if (item.type === "function_call" || item.type === "custom_tool_call") this.#send(this.#calls.announce(item, slot));
  }

  #itemDone(item: OutputItem, slot: number): void {
    switch (item.type) {
      case "message":
        if (item.phase === "commentary") this.#commentary.add(slot);
        objectsOf(item.content).forEach((part, position) => this.#part(slot, position, part));
        break;
      case "reasoning":
        this.#reasoningDone(item, slot);
        break;
      case "function_call":
      case "custom_tool_call":
        this.#send(this.#calls.finish(item, slot));
        this.#rememberReasoning(item.call_id);
        break;
      case "image_generation_call":
        this.#image(item, slot);
        break;
      default:
      // Hosted calls are upstream's own business, never the client's tool calls.
    }
  }

  /** A finished part: whatever of it has not been sent yet. */
  #part(slot: number, position: number, part: ContentPart): void {
    if (part.type === "refusal") this.#wholeRefusal(`${slot}/${position}`, part.refusal ?? "");
    if (part.type !== "output_text") return;
    this.#restOfText(slot, position, part.text ?? "");
    for (const annotation of objectsOf(part.annotations)) this.#citation(annotation);
  }

  #reasoningDone(item: OutputItem, slot: number): void {
    const summary = objectsOf(item.summary);
    summary.forEach((part, position) => this.#restOfThought(`${slot}/s${position}`, textOf(part.text)));
    // Open models think aloud instead of summing up.
    if (summary.length === 0) {
      objectsOf(item.content).forEach((part, at) => this.#restOfThought(`${slot}/t${at}`, textOf(part.text)));
    }
    if (!item.encrypted_content || this.#thoughtItems.has(slot)) return;
    this.#thoughtItems.add(slot);
    this.#pendingReasoning.push({ type: "reasoning", summary, encrypted_content: item.encrypted_content });
  }

  #rememberReasoning(callId: string | null | undefined): void {
    if (this.#pendingReasoning.length === 0 || !callId) return;
    this.#context.memory.remember(callId, this.#pendingReasoning);
    this.#pendingReasoning = [];
  }

  #citation(annotation: Annotation): void {
    if (annotation.type !== "url_citation" || !annotation.url) return;
    const citation = {
      start_index: annotation.start_index ?? 0,
      end_index: annotation.end_index ?? 0,
      url: annotation.url,
      title: annotation.title || annotation.url,
    };
    const key = JSON.stringify(citation);
    if (this.#citations.has(key)) return;
    this.#citations.add(key);
    this.#role("");
    this.#sink.delta({ annotations: [{ type: "url_citation", url_citation: citation }] });
  }

  #image(item: OutputItem, slot: number): void {
    if (!item.result || this.#images.has(slot)) return;
    const url = `data:image/${item.output_format ?? "png"};base64,${item.result}`;
    this.#send([{ images: [{ index: this.#images.size, type: "image_url", image_url: { url } }] }]);
    this.#images.add(slot);
  }

  #finish(type: string, response: ResponseObject): void {
    this.#announce(response);
    objectsOf(response.output).forEach((item, position) => {
      if (!this.#stop.isHit) this.#itemDone(item, this.#slots.ofFinal(item, position));
    });
    if (this.#stop.isHit) return;
    const finishReason = toFinishReason(type, response, this.#calls);
    this.#flushText();
    // A call that was cut short must not look like one that can be made.
    if (finishReason !== "length" && finishReason !== "content_filter") this.#send(this.#calls.close());
    this.#endReasoning();
    this.#end({
      finishReason,
      usage: toChatUsage(response.usage),
      serviceTier: response.service_tier ?? undefined,
    });
  }

  #end(end: ChatEnd): void {
    this.#role("");
    this.isDone = true;
    this.#sink.end(end);
  }

  #remember(key: string, text: string): void {
    this.#sent.set(key, (this.#sent.get(key) ?? "") + text);
  }

  /** The part of `whole` that deltas have not brought; nothing when they brought something else. */
  #unsent(key: string, whole: string): string {
    const sent = this.#sent.get(key) ?? "";
    const text = textOf(whole);
    if (text === "" || !text.startsWith(sent)) return "";
    this.#whole.add(key);
    return text.slice(sent.length);
  }
}
