import { AnswerCalls } from "./calls.ts";
import { AnswerParts, type AnswerPart } from "./parts.ts";
import type { AnswerEnd, AnswerOptions, AnswerSink } from "./answer-sink.ts";
import { failureOf, truncated } from "../wire/failure.ts";
import { ItemSlots } from "./item-slots.ts";
import type { Annotation, ContentPart, InputItem, OutputItem, ResponseObject } from "../wire/schema.ts";
import { StopScanner } from "./stop.ts";
import { isCall, objectsOf, readEvent, responseOf, shortReason, textOf } from "../wire/lenient.ts";
import type { WireEvent } from "../wire/event.ts";

/**
 * Upstream events → the pieces of an answer, for every dialect that rebuilds it. Streamed and whole replies are fed by
 * it alike, so that the two can never disagree; whatever arrives only in a later event than usual is still told once.
 */
export class AnswerReader {
  isDone = false;
  readonly #sink: AnswerSink;
  readonly #options: AnswerOptions;
  readonly #stop: StopScanner;
  readonly #calls: AnswerCalls;
  readonly #slots = new ItemSlots();
  readonly #parts = new AnswerParts();
  /** Items whose text is a comment on the way to the answer. */
  readonly #commentary = new Set<number>();
  /** Reasoning items that have ended; the end of the answer may repeat them. */
  readonly #sealed = new Set<number>();
  /** Reasoning that the next tool call will be remembered with. */
  #pendingReasoning: InputItem[] = [];
  #hasBegun = false;
  #textPart: AnswerPart | undefined;
  #thoughtPart: AnswerPart | undefined;

  constructor(options: AnswerOptions, sink: AnswerSink) {
    this.#options = options;
    this.#sink = sink;
    this.#stop = new StopScanner(options.stopSequences);
    this.#calls = new AnswerCalls({
      call: (call) => {
        this.#interrupt();
        sink.call(call);
      },
      callDelta: (call, text) => sink.callDelta(call, text),
      callEnd: (call) => sink.callEnd(call),
    });
  }

  /** Throws RelayError when upstream reports a failure. */
  onEvent(wire: WireEvent): void {
    if (this.isDone) return;
    const event = readEvent(wire);
    if (!event) return;
    const failure = failureOf(wire, this.#options.now);
    if (failure) throw failure;
    switch (event.type) {
      case "response.created":
      case "response.in_progress":
      case "response.queued":
        this.#begin(responseOf(event));
        break;
      case "response.output_text.delta":
        this.#text(this.#parts.text(this.#slots.of(event), event.content_index), event.delta);
        break;
      case "response.output_text.done":
        this.#restOfText(this.#parts.text(this.#slots.of(event), event.content_index), event.text);
        break;
      case "response.refusal.delta":
        this.#refusal(this.#parts.text(this.#slots.of(event), event.content_index), event.delta);
        break;
      case "response.refusal.done":
        this.#restOfRefusal(this.#parts.text(this.#slots.of(event), event.content_index), event.refusal);
        break;
      case "response.content_part.done":
        this.#part(this.#parts.text(this.#slots.of(event), event.content_index), event.part);
        break;
      case "response.output_text.annotation.added":
        this.#citation(event.annotation, this.#parts.text(this.#slots.of(event), event.content_index));
        break;
      case "response.reasoning_summary_text.delta":
        this.#thought(this.#parts.summary(this.#slots.of(event), event.summary_index), event.delta);
        break;
      case "response.reasoning_summary_text.done":
        this.#restOfThought(this.#parts.summary(this.#slots.of(event), event.summary_index), event.text);
        break;
      case "response.reasoning_text.delta":
        this.#thought(this.#parts.reasoning(this.#slots.of(event), event.content_index), event.delta);
        break;
      case "response.reasoning_text.done":
        this.#restOfThought(this.#parts.reasoning(this.#slots.of(event), event.content_index), event.text);
        break;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        this.#calls.delta(this.#slots.of(event), textOf(event.delta));
        break;
      case "response.function_call_arguments.done":
        this.#calls.settle(this.#slots.of(event), textOf(event.arguments));
        break;
      case "response.custom_tool_call_input.done":
        this.#calls.settle(this.#slots.of(event), textOf(event.input));
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
    if (this.#stop.isHit && !this.isDone) this.#end("stop", {});
  }

  /** Upstream ended. Throws unless the answer was complete. */
  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  #begin(response: ResponseObject): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#sink.begin(response);
  }

  #text(part: AnswerPart, text: string): void {
    const fresh = this.#parts.grow(part, text);
    if (fresh === "") return;
    if (this.#options.isJson && this.#commentary.has(part.slot)) {
      this.#showThought(part, fresh);
      return;
    }
    this.#turn(part);
    this.#show(this.#stop.push(fresh));
  }

  #restOfText(part: AnswerPart, whole: string): void {
    this.#text(part, this.#parts.rest(part, whole));
    this.#parts.close(part, whole);
  }

  #refusal(part: AnswerPart, text: string): void {
    const fresh = this.#parts.grow(part, text);
    if (fresh === "") return;
    this.#turn(part);
    this.#show(this.#stop.flush());
    this.#sink.refusal(fresh);
  }

  #restOfRefusal(part: AnswerPart, whole: string): void {
    this.#refusal(part, this.#parts.rest(part, whole));
    this.#parts.close(part, whole);
  }

  #turn(part: AnswerPart): void {
    this.#begin({});
    this.#endThought();
    if (this.#textPart === part) return;
    this.#show(this.#stop.flush());
    this.#textPart = part;
    this.#sink.turn(part);
  }

  #show(text: string): void {
    if (text !== "") this.#sink.text(text);
  }

  #thought(part: AnswerPart, text: string): void {
    const fresh = this.#parts.grow(part, text);
    if (fresh !== "") this.#showThought(part, fresh);
  }

  #restOfThought(part: AnswerPart, whole: string): void {
    this.#thought(part, this.#parts.rest(part, whole));
    this.#parts.close(part, whole);
    if (this.#thoughtPart === part) this.#endThought();
  }

  #showThought(part: AnswerPart, text: string): void {
    this.#begin({});
    this.#show(this.#stop.flush());
    this.#thoughtPart = part;
    this.#sink.thought(text, part);
  }

  #endThought(): void {
    const part = this.#thoughtPart;
    this.#thoughtPart = undefined;
    if (part) this.#sink.thoughtEnd(part);
  }

  /** Something else than text or thoughts follows. */
  #interrupt(): void {
    this.#begin({});
    this.#show(this.#stop.flush());
    this.#endThought();
  }

  #slotOf(item: OutputItem, index: number): number {
    const slot = this.#slots.of({ output_index: index, item_id: item.id });
    this.#slots.name(slot, item.call_id);
    return slot;
  }

  #itemAdded(item: OutputItem, slot: number): void {
    if (item.type === "message" && item.phase === "commentary") this.#commentary.add(slot);
    if (isCall(item)) this.#calls.announce(item, slot);
  }

  #itemDone(item: OutputItem, slot: number): void {
    switch (item.type) {
      case "message":
        if (item.phase === "commentary") this.#commentary.add(slot);
        objectsOf(item.content).forEach((part, position) => this.#part(this.#parts.text(slot, position), part));
        break;
      case "reasoning":
        this.#reasoning(item, slot);
        break;
      case "function_call":
      case "custom_tool_call":
        this.#rememberReasoning(this.#calls.finish(item, slot).id);
        break;
      default:
        // Hosted calls are upstream's own business, never the client's tool calls.
        this.#interrupt();
        this.#sink.hosted(item, slot);
    }
  }

  /** A finished part: whatever of it has not been told yet. */
  #part(part: AnswerPart, content: ContentPart): void {
    if (content.type === "refusal") this.#restOfRefusal(part, textOf(content.refusal));
    if (content.type !== "output_text") return;
    this.#restOfText(part, textOf(content.text));
    for (const annotation of objectsOf(content.annotations)) this.#citation(annotation, part);
  }

  #citation(annotation: Annotation, part: AnswerPart): void {
    this.#begin({});
    this.#sink.citation(annotation, part);
  }

  #reasoning(item: OutputItem, slot: number): void {
    const summary = objectsOf(item.summary);
    summary.forEach((part, position) => this.#restOfThought(this.#parts.summary(slot, position), textOf(part.text)));
    // Open models think aloud instead of summing up.
    if (summary.length === 0) {
      objectsOf(item.content).forEach((part, position) =>
        this.#restOfThought(this.#parts.reasoning(slot, position), textOf(part.text)),
      );
    }
    if (!item.encrypted_content || this.#sealed.has(slot)) return;
    this.#sealed.add(slot);
    this.#interrupt();
    this.#sink.sealed(item.encrypted_content, slot);
    this.#pendingReasoning.push({ type: "reasoning", summary, encrypted_content: item.encrypted_content });
  }

  #rememberReasoning(callId: string): void {
    if (this.#pendingReasoning.length > 0) this.#options.memory.remember(callId, this.#pendingReasoning);
    this.#pendingReasoning = [];
  }

  #finish(type: string, response: ResponseObject): void {
    this.#begin(response);
    const short = shortReason(type, response);
    objectsOf(response.output).forEach((item, position) => {
      if (this.#stop.isHit) return;
      const slot = this.#slots.ofFinal(item, position);
      // A call that was cut short must not look like one that can be made.
      if (short && isCall(item)) this.#calls.cut(item, slot);
      else this.#itemDone(item, slot);
    });
    if (this.#stop.isHit) return;
    if (!short) {
      this.#interrupt();
      for (const { id } of this.#calls.close()) this.#rememberReasoning(id);
    }
    this.#end(short ?? "stop", response);
  }

  #end(reason: AnswerEnd["reason"], { usage, service_tier: serviceTier }: ResponseObject): void {
    this.#interrupt();
    this.isDone = true;
    this.#sink.end({
      reason,
      stopSequence: this.#stop.found,
      usage: usage ?? undefined,
      serviceTier: serviceTier ?? undefined,
    });
  }
}
