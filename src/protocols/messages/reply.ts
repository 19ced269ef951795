import { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerCall } from "../../codex/output/calls.ts";
import type { AnswerPart } from "../../codex/output/parts.ts";
import type { AnswerEnd, AnswerSink } from "../../codex/output/answer-sink.ts";
import type { Annotation, OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import type { Context } from "../protocol.ts";
import { BlockQueue, DIRECT, type Block, type BlockSink } from "./blocks.ts";
import { textFormatOf } from "./format.ts";
import { stopSequences } from "./request.ts";
import type { MessagesRequest } from "./schema.ts";
import { citationOf, searchOf } from "./search.ts";
import { thinkingView } from "./thinking.ts";
import { Thoughts } from "./thoughts.ts";
import { toToolUseId } from "./tool-ids.ts";
import { renamedTools } from "./tools.ts";
import { toMessagesUsage, type MessagesUsage } from "./usage.ts";

type StopReason = "end_turn" | "tool_use" | "max_tokens" | "stop_sequence" | "refusal";

/** How a message ended. */
export interface MessageEnd {
  readonly stopReason: StopReason;
  readonly stopSequence: string | null;
  readonly usage: MessagesUsage;
  readonly serviceTier: string | undefined;
}

/** Where the blocks of a message go: into frames, or folded into one body. */
export interface MessageSink extends BlockSink {
  /** First of all, once: whose message this is. */
  begin(id: string): void;
  end(end: MessageEnd): void;
}

/** A reader of upstream events whose answer arrives at `sink` as the blocks of one message. */
export function messageReader(request: MessagesRequest, context: Context, sink: MessageSink): AnswerReader {
  const { memory, now } = context;
  const isJson = textFormatOf(request) !== undefined;
  const reply = new MessageReply(request, context, sink);
  return new AnswerReader({ stopSequences: stopSequences(request), isJson, memory, now }, reply);
}

class MessageReply implements AnswerSink {
  readonly #sink: MessageSink;
  readonly #context: Context;
  readonly #originalNames: ReadonlyMap<string, string>;
  readonly #queue: BlockQueue;
  readonly #thoughts: Thoughts;
  readonly #calls = new Map<AnswerCall, Block>();
  readonly #citations = new Set<string>();
  readonly #searches = new Set<number>();
  #hasRefused = false;
  /** The part that text belongs to, and its block. */
  #textPart: AnswerPart | undefined;
  #textBlock: Block | undefined;

  constructor(request: MessagesRequest, context: Context, sink: MessageSink) {
    this.#sink = sink;
    this.#context = context;
    this.#originalNames = renamedTools(request);
    this.#queue = new BlockQueue(sink);
    const view = thinkingView(request);
    this.#thoughts = new Thoughts(view === "summary" && context.reasoning === "none" ? "sealed" : view, this.#queue);
  }

  begin(response: ResponseObject): void {
    this.#sink.begin(`msg_${response.id?.replace(/^resp_/, "") ?? this.#context.id}`);
  }

  /** Each part of a message has a block of its own. */
  turn(part: AnswerPart): void {
    this.#textPart = part;
    this.#textBlock = undefined;
  }

  text(text: string): void {
    this.#queue.delta(this.#openText(), { type: "text_delta", text });
  }

  refusal(text: string): void {
    this.#hasRefused = true;
    this.text(text);
  }

  thought(text: string, part: AnswerPart): void {
    this.#thoughts.push(part, text);
  }

  thoughtEnd(part: AnswerPart): void {
    this.#thoughts.flush(part.slot);
  }

  sealed(encrypted: string, slot: number): void {
    this.#thoughts.seal(slot, encrypted);
  }

  call(call: AnswerCall): void {
    const name = this.#originalNames.get(call.name) ?? call.name;
    const use = { type: "tool_use", id: toToolUseId(call.id), name, input: {}, caller: DIRECT } as const;
    this.#calls.set(call, this.#queue.open(use));
  }

  callDelta(call: AnswerCall, text: string): void {
    const block = this.#calls.get(call);
    if (block) this.#queue.delta(block, { type: "input_json_delta", partial_json: text });
  }

  callEnd(call: AnswerCall): void {
    const block = this.#calls.get(call);
    if (block) this.#queue.end(block);
  }

  /** A citation belongs to the text that it came with; once that block is over there is no place for it. */
  citation(annotation: Annotation, part: AnswerPart): void {
    const citation = citationOf(annotation);
    if (!citation || this.#textPart !== part || this.#textBlock?.isClosed) return;
    const mark = JSON.stringify([part.slot, part.position, annotation.start_index, annotation.end_index, citation]);
    if (this.#citations.has(mark)) return;
    this.#citations.add(mark);
    this.#queue.delta(this.#openText(), { type: "citations_delta", citation });
  }

  /** Only searches can have been asked for in this dialect. */
  hosted(item: OutputItem, slot: number): void {
    if (item.type !== "web_search_call" || this.#searches.has(slot)) return;
    const search = searchOf(item, slot);
    if (!search) return;
    this.#searches.add(slot);
    const { id, query, results } = search;
    const use = this.#queue.open({ type: "server_tool_use", id, name: "web_search", input: {}, caller: DIRECT });
    this.#queue.delta(use, { type: "input_json_delta", partial_json: JSON.stringify({ query }) });
    this.#queue.end(use);
    this.#queue.end(
      this.#queue.open({ type: "web_search_tool_result", tool_use_id: id, content: results, caller: DIRECT }),
    );
  }

  end(end: AnswerEnd): void {
    this.#queue.finish();
    this.#sink.end({
      stopReason: this.#stopReason(end),
      stopSequence: end.stopSequence ?? null,
      usage: toMessagesUsage(end.usage, this.#searches.size),
      serviceTier: end.serviceTier,
    });
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
