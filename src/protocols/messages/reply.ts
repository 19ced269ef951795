import { eventFailure, truncated } from "../../codex/failure.ts";
import { ItemSlots } from "../../codex/item-slots.ts";
import type { ContentPart, InputItem, OutputItem, ResponseObject } from "../../codex/schema.ts";
import { StopScanner } from "../../codex/stop.ts";
import { objectsOf, readEvent, responseOf, textOf } from "../../codex/trusted.ts";
import { isFailure, type WireEvent } from "../../codex/wire-event.ts";
import type { Context } from "../protocol.ts";
import { BlockQueue, DIRECT, type Block, type BlockSink, type StartedBlock } from "./blocks.ts";
import { textFormatOf } from "./format.ts";
import { stopSequences } from "./request.ts";
import type { MessagesRequest } from "./schema.ts";
import { citationOf, searchOf } from "./search.ts";
import { thinkingView } from "./thinking.ts";
import { Thoughts } from "./thoughts.ts";
import { ToolUses } from "./tool-uses.ts";
import { renamedTools } from "./tools.ts";
import { toMessagesUsage, type MessagesUsage } from "./usage.ts";

export type StopReason = "end_turn" | "tool_use" | "max_tokens" | "stop_sequence" | "refusal";

/** How a message ended. */
export interface MessageEnd {
  readonly stopReason: StopReason;
  readonly stopSequence: string | null;
  readonly usage: MessagesUsage;
  readonly serviceTier: string | undefined;
}

/** Where the pieces of a message go: into frames, or folded into one body. */
export interface MessageSink extends BlockSink {
  /** First of all, once: whose message this is. */
  begin(id: string): void;
  end(end: MessageEnd): void;
}

/**
 * Upstream events → the blocks of one message. The only state machine for streamed and whole replies alike, so that the
 * two can never disagree.
 */
export class MessageReply {
  isDone = false;
  readonly #sink: MessageSink;
  readonly #context: Context;
  readonly #isJson: boolean;
  readonly #stop: StopScanner;
  readonly #queue: BlockQueue;
  readonly #calls: ToolUses;
  readonly #thoughts: Thoughts;
  readonly #slots = new ItemSlots();
  /** Text, refusals and summaries sent so far, by item and part: what later `done` events repeat. */
  readonly #sent = new Map<string, string>();
  /** Items whose text is a comment on the way to the answer. */
  readonly #commentary = new Set<number>();
  readonly #citations = new Set<string>();
  readonly #searches = new Set<number>();
  /** Reasoning that the next tool use will be remembered with, for clients that leave thinking out. */
  #pendingReasoning: InputItem[] = [];
  #hasBegun = false;
  #hasRefused = false;
  /** The part that text was last sent of, and its block. */
  #textKey = "";
  #textBlock: Block | undefined;

  constructor(request: MessagesRequest, context: Context, sink: MessageSink) {
    this.#sink = sink;
    this.#context = context;
    this.#isJson = textFormatOf(request) !== undefined;
    this.#stop = new StopScanner(stopSequences(request));
    this.#queue = new BlockQueue(sink);
    const view = thinkingView(request);
    const open = (block: StartedBlock) => this.#open(block);
    this.#thoughts = new Thoughts(
      view === "summary" && context.reasoning === "none" ? "sealed" : view,
      this.#queue,
      open,
    );
    this.#calls = new ToolUses(renamedTools(request), this.#queue, open);
  }

  /** Throws RelayError when upstream reports a failure. */
  onEvent(wire: WireEvent): void {
    if (this.isDone) return;
    const event = readEvent(wire);
    if (!event) return;
    if (isFailure(wire.type)) throw eventFailure({ ...event, response: responseOf(event) }, this.#context.now);
    switch (event.type) {
      case "response.created":
      case "response.in_progress":
      case "response.queued":
        this.#begin(responseOf(event));
        break;
      case "response.output_text.delta":
        this.#text(this.#slots.of(event), event.content_index ?? 0, event.delta);
        break;
      case "response.output_text.done":
        this.#restOfText(this.#slots.of(event), event.content_index ?? 0, event.text);
        break;
      case "response.content_part.done":
        this.#part(this.#slots.of(event), event.content_index ?? 0, event.part);
        break;
      case "response.output_text.annotation.added":
        this.#citation(`${this.#slots.of(event)}/${event.content_index ?? 0}`, event.annotation);
        break;
      case "response.refusal.delta":
        this.#refusal(`${this.#slots.of(event)}/${event.content_index ?? 0}`, event.delta);
        break;
      case "response.refusal.done":
        this.#wholeRefusal(`${this.#slots.of(event)}/${event.content_index ?? 0}`, event.refusal);
        break;
      case "response.reasoning_summary_text.delta":
        this.#thought(this.#slots.of(event), `s${event.summary_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_summary_text.done":
        this.#restOfThought(this.#slots.of(event), `s${event.summary_index ?? 0}`, event.text);
        break;
      case "response.reasoning_text.delta":
        this.#thought(this.#slots.of(event), `t${event.content_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_text.done":
        this.#restOfThought(this.#slots.of(event), `t${event.content_index ?? 0}`, event.text);
        break;
      case "response.function_call_arguments.delta":
        this.#calls.delta(this.#slots.of(event), textOf(event.delta));
        break;
      case "response.function_call_arguments.done":
        this.#calls.settle(this.#slots.of(event), textOf(event.arguments));
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
    if (this.#stop.isHit && !this.isDone) this.#stopEarly();
  }

  /** Upstream ended. Throws unless the message was complete. */
  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  #begin(response: ResponseObject): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#sink.begin(`msg_${response.id?.replace(/^resp_/, "") ?? this.#context.id}`);
  }

  /** A block of another kind than text: text that was held back belongs before it. */
  #open(block: StartedBlock): Block {
    this.#flushText();
    this.#begin({});
    return this.#queue.open(block);
  }

  #text(slot: number, position: number, text: string): void {
    if (!text) return;
    const key = `${slot}/${position}`;
    this.#remember(key, text);
    // A parser gets the answer alone; the model's remarks on the way belong to its thinking there.
    if (this.#isJson && this.#commentary.has(slot)) {
      this.#thoughts.push(slot, "c", text);
      return;
    }
    this.#turnTo(key);
    this.#showText(this.#stop.push(text));
  }

  #restOfText(slot: number, position: number, whole: string): void {
    this.#text(slot, position, this.#unsent(`${slot}/${position}`, whole));
  }

  /** Each part of a message has a block of its own. */
  #turnTo(key: string): void {
    if (this.#textKey === key) return;
    this.#flushText();
    this.#textKey = key;
    this.#textBlock = undefined;
  }

  #showText(text: string): void {
    if (text !== "") this.#queue.delta(this.#openText(), { type: "text_delta", text });
  }

  #openText(): Block {
    if (this.#textBlock && !this.#textBlock.isClosed) return this.#textBlock;
    this.#begin({});
    this.#textBlock = this.#queue.open({ type: "text", text: "", citations: null });
    return this.#textBlock;
  }

  #flushText(): void {
    this.#showText(this.#stop.flush());
  }

  #refusal(key: string, text: string): void {
    if (!text) return;
    this.#remember(key, text);
    this.#hasRefused = true;
    this.#turnTo(key);
    this.#showText(text);
  }

  #wholeRefusal(key: string, whole: string): void {
    if (!this.#sent.has(key)) this.#refusal(key, whole);
  }

  #thought(slot: number, part: string, text: string): void {
    if (!text) return;
    this.#remember(`${slot}/${part}`, text);
    this.#thoughts.push(slot, part, text);
  }

  #restOfThought(slot: number, part: string, whole: string): void {
    this.#thought(slot, part, this.#unsent(`${slot}/${part}`, whole));
    this.#thoughts.flush(slot);
  }

  #slotOf(item: OutputItem, index: number): number {
    const slot = this.#slots.of({ output_index: index, item_id: item.id });
    this.#slots.name(slot, item.call_id);
    return slot;
  }

  #itemAdded(item: OutputItem, slot: number): void {
    if (item.type === "message" && item.phase === "commentary") this.#commentary.add(slot);
    if (item.type === "function_call") this.#calls.announce(item, slot);
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
        this.#calls.finish(item, slot);
        this.#rememberReasoning(item.call_id);
        break;
      case "web_search_call":
        this.#search(item, slot);
        break;
      default:
      // Other hosted calls cannot have been asked for in this dialect.
    }
  }

  /** A finished part: whatever of it has not been sent yet. */
  #part(slot: number, position: number, part: ContentPart): void {
    const key = `${slot}/${position}`;
    if (part.type === "refusal") this.#wholeRefusal(key, part.refusal ?? "");
    if (part.type !== "output_text") return;
    this.#restOfText(slot, position, part.text ?? "");
    for (const annotation of objectsOf(part.annotations)) this.#citation(key, annotation);
  }

  #reasoningDone(item: OutputItem, slot: number): void {
    const summary = objectsOf(item.summary);
    summary.forEach((part, position) => this.#restOfThought(slot, `s${position}`, textOf(part.text)));
    // Open models think aloud instead of summing up.
    if (summary.length === 0) {
      objectsOf(item.content).forEach((part, at) => this.#restOfThought(slot, `t${at}`, textOf(part.text)));
    }
    if (!item.encrypted_content) return;
    this.#thoughts.seal(slot, item.encrypted_content);
    this.#pendingReasoning.push({ type: "reasoning", summary, encrypted_content: item.encrypted_content });
  }

  #rememberReasoning(callId: string | null | undefined): void {
    if (this.#pendingReasoning.length === 0 || !callId) return;
    this.#context.memory.remember(callId, this.#pendingReasoning);
    this.#pendingReasoning = [];
  }

  #search(item: OutputItem, slot: number): void {
    if (this.#searches.has(slot)) return;
    const search = searchOf(item, slot);
    if (!search) return;
    this.#searches.add(slot);
    const use = this.#open({ type: "server_tool_use", id: search.id, name: "web_search", input: {}, caller: DIRECT });
    this.#queue.delta(use, { type: "input_json_delta", partial_json: JSON.stringify({ query: search.query }) });
    this.#queue.end(use);
    this.#queue.end(
      this.#open({
        type: "web_search_tool_result",
        tool_use_id: search.id,
        content: search.results,
        caller: DIRECT,
      }),
    );
  }

  /** A citation belongs to the text that it came with; once that block is over there is no place for it. */
  #citation(key: string, annotation: { readonly [key: string]: unknown }): void {
    const citation = citationOf(annotation);
    if (!citation || this.#textKey !== key || this.#textBlock?.isClosed) return;
    const mark = `${key} ${JSON.stringify([annotation["start_index"], annotation["end_index"], citation])}`;
    if (this.#citations.has(mark)) return;
    this.#citations.add(mark);
    this.#queue.delta(this.#openText(), { type: "citations_delta", citation });
  }

  #finish(type: string, response: ResponseObject): void {
    // Some transports end every reply with one type and only say here that it failed.
    if (response.status === "failed" || response.status === "cancelled") {
      throw eventFailure({ type: `response.${response.status}`, response }, this.#context.now);
    }
    this.#begin(response);
    objectsOf(response.output).forEach((item, position) => {
      if (!this.#stop.isHit) this.#itemDone(item, this.#slots.ofFinal(item, position));
    });
    if (this.#stop.isHit) return;
    this.#flushText();
    const stopReason = this.#stopReason(type, response);
    // A tool use that was cut short must not look like one that can be run.
    if (stopReason === "tool_use") this.#calls.close();
    const usage = toMessagesUsage(response.usage, this.#searches.size);
    this.#end({ stopReason, stopSequence: null, usage, serviceTier: response.service_tier ?? undefined });
  }

  /** An incomplete answer is never a success, whatever it holds and whether or not it says why. */
  #stopReason(type: string, response: ResponseObject): StopReason {
    if (type === "response.incomplete" || response.status === "incomplete") {
      return response.incomplete_details?.reason === "content_filter" ? "refusal" : "max_tokens";
    }
    if (this.#calls.any) return "tool_use";
    return this.#hasRefused ? "refusal" : "end_turn";
  }

  /** The relay cuts the answer itself, and nobody knows what it cost. */
  #stopEarly(): void {
    this.#begin({});
    const stopSequence = this.#stop.found ?? null;
    const usage = toMessagesUsage(undefined, this.#searches.size);
    this.#end({ stopReason: "stop_sequence", stopSequence, usage, serviceTier: undefined });
  }

  #end(end: MessageEnd): void {
    this.#queue.finish();
    this.isDone = true;
    this.#sink.end(end);
  }

  #remember(key: string, text: string): void {
    this.#sent.set(key, (this.#sent.get(key) ?? "") + text);
  }

  /** The part of `whole` that deltas have not brought; nothing when they brought something else. */
  #unsent(key: string, whole: string): string {
    const sent = this.#sent.get(key) ?? "";
    return textOf(whole).startsWith(sent) ? textOf(whole).slice(sent.length) : "";
  }
}
