import { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerCall, AnswerEnd, AnswerEvent, AnswerOptions, AnswerPart } from "../../codex/output/events.ts";
import type { Annotation, OutputItem } from "../../codex/wire/schema.ts";
import type { Context } from "../protocol.ts";
import { BlockQueue, DIRECT, type Block, type BlockEvent, type WebSearchResult } from "./blocks.ts";
import { citationOf, pagesIn, searchOf } from "./search.ts";
import type { ThinkingView } from "./thinking.ts";
import { ThinkingBlocks } from "./thinking-blocks.ts";
import { toToolUseId } from "./tool-ids.ts";
import { toMessagesUsage, type MessagesUsage } from "./usage.ts";

type StopReason = "end_turn" | "tool_use" | "max_tokens" | "stop_sequence" | "refusal";

/** What of a request its reply depends on. */
export interface AskedMessage {
  /** As the client named it. */
  readonly model: string;
  readonly thinking: ThinkingView;
  /** Backend name → the client's own, for the tools whose names had to change. */
  readonly originalNames: ReadonlyMap<string, string>;
}

/** How a message ended. */
export interface MessageEnd {
  readonly stopReason: StopReason;
  readonly stopSequence: string | null;
  readonly usage: MessagesUsage;
  readonly serviceTier: string | undefined;
}

/** A message as it comes: streamed, or folded into one body. */
export type MessageEvent =
  /** First of all, once: whose message this is. */
  { readonly type: "start"; readonly id: string } | BlockEvent | { readonly type: "end"; readonly end: MessageEnd };

/** A reader of upstream events whose answer arrives as the events of one message. */
export function messageReader(
  asked: AskedMessage,
  context: Context,
  options: AnswerOptions,
  emit: (event: MessageEvent) => void,
): MessageReader {
  const reply = new MessageReply(asked, context, emit);
  const reader = new AnswerReader(options, (event) => reply.onEvent(event));
  return { reader, flush: () => reply.flush() };
}

interface MessageReader {
  readonly reader: AnswerReader;
  /** Sends what still waits, for an answer that fails in the middle. */
  readonly flush: () => void;
}

class MessageReply {
  readonly #emit: (event: MessageEvent) => void;
  readonly #context: Context;
  readonly #originalNames: ReadonlyMap<string, string>;
  readonly #queue: BlockQueue;
  readonly #thinking: ThinkingBlocks;
  readonly #calls = new Map<AnswerCall, Block>();
  #searches = 0;
  /** The first search without a list of pages, and what has come since. */
  #searchId = "";
  #waiting: AnswerEvent[] | undefined;
  #hasRefused = false;
  /** The part that text belongs to, and its block. */
  #textPart: AnswerPart | undefined;
  #textBlock: Block | undefined;

  constructor({ thinking, originalNames }: AskedMessage, context: Context, emit: (event: MessageEvent) => void) {
    this.#emit = emit;
    this.#context = context;
    this.#originalNames = originalNames;
    this.#queue = new BlockQueue(emit);
    const isSealed = thinking === "summary" && context.reasoning === "none";
    this.#thinking = new ThinkingBlocks(isSealed ? "sealed" : thinking, this.#queue);
  }

  onEvent(event: AnswerEvent): void {
    if (!this.#waiting) return this.#handle(event);
    this.#waiting.push(event);
    if (event.type === "finish") this.flush();
  }

  /** Pages of a search come before the text; where only the text names them, the text has to wait. */
  flush(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    this.#results(this.#searchId, pagesIn(waiting));
    for (const event of waiting) this.#handle(event);
  }

  #handle(event: AnswerEvent): void {
    switch (event.type) {
      case "answerStart":
        this.#emit({ type: "start", id: `msg_${event.response.id?.replace(/^resp_/, "") ?? this.#context.id}` });
        break;
      case "textStart":
        // Each part of a message has a block of its own.
        this.#textPart = event.part;
        this.#textBlock = undefined;
        break;
      case "textDelta":
        this.#text(event.text);
        break;
      case "refusalDelta":
        this.#hasRefused = true;
        this.#text(event.text);
        break;
      case "annotation":
        this.#citation(event.annotation, event.part);
        break;
      case "reasoningDelta":
        this.#thinking.push(event.part, event.text);
        break;
      case "reasoningEnd":
        this.#thinking.flush(event.part.index);
        break;
      case "encryptedReasoning":
        this.#thinking.seal(event.index, event.content);
        break;
      case "toolCallStart":
        this.#callStart(event.call);
        break;
      case "toolCallDelta":
        this.#callDelta(event.call, event.text);
        break;
      case "toolCallEnd":
        this.#callEnd(event.call);
        break;
      case "hostedToolEnd":
        this.#search(event.item, event.index);
        break;
      case "finish":
        this.#finish(event);
    }
  }

  #text(text: string): void {
    this.#queue.delta(this.#openText(), { type: "text_delta", text });
  }

  #callStart(call: AnswerCall): void {
    const name = this.#originalNames.get(call.name) ?? call.name;
    const use = { type: "tool_use", id: toToolUseId(call.id), name, input: {}, caller: DIRECT } as const;
    this.#calls.set(call, this.#queue.open(use));
  }

  #callDelta(call: AnswerCall, text: string): void {
    const block = this.#calls.get(call);
    if (block) this.#queue.delta(block, { type: "input_json_delta", partial_json: text });
  }

  #callEnd(call: AnswerCall): void {
    const block = this.#calls.get(call);
    if (block) this.#queue.end(block);
  }

  /** A citation belongs to the text that it came with; once that block is over there is no place for it. */
  #citation(annotation: Annotation, part: AnswerPart): void {
    const citation = citationOf(annotation);
    if (!citation || this.#textPart !== part || this.#textBlock?.isClosed) return;
    this.#queue.delta(this.#openText(), { type: "citations_delta", citation });
  }

  /** Only searches can have been asked for in this dialect. */
  #search(item: OutputItem, index: number): void {
    const search = item.type === "web_search_call" ? searchOf(item, index) : undefined;
    if (!search) return;
    this.#searches += 1;
    const { id, query, results } = search;
    const use = this.#queue.open({ type: "server_tool_use", id, name: "web_search", input: {}, caller: DIRECT });
    this.#queue.delta(use, { type: "input_json_delta", partial_json: JSON.stringify({ query }) });
    this.#queue.end(use);
    // The pages that the answer names are listed once, for the first search that lacks a list of its own.
    if (results.length > 0 || this.#searchId !== "") return this.#results(id, results);
    this.#searchId = id;
    this.#waiting = [];
  }

  #results(id: string, content: WebSearchResult[]): void {
    this.#queue.end(this.#queue.open({ type: "web_search_tool_result", tool_use_id: id, content, caller: DIRECT }));
  }

  #finish(end: AnswerEnd): void {
    this.#queue.finish();
    const stopReason = this.#stopReason(end);
    const usage = toMessagesUsage(end.usage, this.#searches);
    const { stopSequence = null, serviceTier } = end;
    this.#emit({ type: "end", end: { stopReason, stopSequence, usage, serviceTier } });
  }

  #openText(): Block {
    if (!this.#textBlock || this.#textBlock.isClosed) {
      this.#textBlock = this.#queue.open({ type: "text", text: "", citations: null });
    }
    return this.#textBlock;
  }

  #stopReason({ reason, stopSequence }: AnswerEnd): StopReason {
    if (reason === "content_filter") return "refusal";
    if (reason === "length") return "max_tokens";
    if (stopSequence !== undefined) return "stop_sequence";
    if (this.#calls.size > 0) return "tool_use";
    return this.#hasRefused ? "refusal" : "end_turn";
  }
}
