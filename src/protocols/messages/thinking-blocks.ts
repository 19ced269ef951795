import type { AnswerPart } from "../../codex/output/events.ts";
import { ReasoningText } from "../../codex/output/reasoning-text.ts";
import type { Block, BlockQueue } from "./blocks.ts";
import { seal, type ThinkingView } from "./thinking.ts";

interface Thinking {
  readonly text: ReasoningText;
  block: Block | undefined;
  isSealed: boolean;
}

/** The thinking blocks of one answer: one for each reasoning item, its encrypted form in the signature. */
export class ThinkingBlocks {
  readonly #view: ThinkingView;
  readonly #queue: BlockQueue;
  /** By the item's index. */
  readonly #byItem = new Map<number, Thinking>();

  constructor(view: ThinkingView, queue: BlockQueue) {
    this.#view = view;
    this.#queue = queue;
  }

  /** More of what the model thinks. */
  push(part: AnswerPart, text: string): void {
    if (this.#view !== "summary") return;
    const thinking = this.#of(part.index);
    this.#show(thinking, thinking.text.push(part, text));
  }

  /** A part is over. */
  flush(item: number): void {
    const thinking = this.#byItem.get(item);
    if (thinking) this.#show(thinking, thinking.text.flush());
  }

  /** The item is over; without text its encrypted form travels alone. */
  seal(item: number, encrypted: string): void {
    if (this.#view === "none") return;
    const thinking = this.#of(item);
    if (thinking.isSealed) return;
    thinking.isSealed = true;
    const signature = seal(encrypted);
    if (this.#view === "summary" && (!thinking.block || thinking.block.isClosed)) {
      this.#queue.end(this.#queue.open({ type: "redacted_thinking", data: signature }));
      return;
    }
    thinking.block ??= this.#queue.open({ type: "thinking", thinking: "", signature: "" });
    this.#queue.delta(thinking.block, { type: "signature_delta", signature });
    this.#queue.end(thinking.block);
  }

  #of(item: number): Thinking {
    const known = this.#byItem.get(item);
    if (known) return known;
    const thinking: Thinking = { text: new ReasoningText(), block: undefined, isSealed: false };
    this.#byItem.set(item, thinking);
    return thinking;
  }

  #show(thinking: Thinking, text: string): void {
    if (text === "") return;
    if (!thinking.block || thinking.block.isClosed) {
      thinking.block = this.#queue.open({ type: "thinking", thinking: "", signature: "" });
    }
    this.#queue.delta(thinking.block, { type: "thinking_delta", thinking: text });
  }
}
