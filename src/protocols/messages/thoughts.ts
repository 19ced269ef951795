import type { AnswerPart } from "../../codex/output/events.ts";
import { ReasoningText } from "../../codex/output/reasoning-text.ts";
import type { Block, BlockQueue } from "./blocks.ts";
import { seal, type ThinkingView } from "./thinking.ts";

interface Thought {
  readonly text: ReasoningText;
  block: Block | undefined;
  isSealed: boolean;
}

/** The thinking blocks of one answer: one for each reasoning item, its encrypted form in the signature. */
export class Thoughts {
  readonly #view: ThinkingView;
  readonly #queue: BlockQueue;
  /** By the item's index. */
  readonly #byItem = new Map<number, Thought>();

  constructor(view: ThinkingView, queue: BlockQueue) {
    this.#view = view;
    this.#queue = queue;
  }

  /** More of what the model thinks. */
  push(part: AnswerPart, text: string): void {
    if (this.#view !== "summary") return;
    const thought = this.#of(part.index);
    this.#show(thought, thought.text.push(part, text));
  }

  /** A part is over. */
  flush(item: number): void {
    const thought = this.#byItem.get(item);
    if (thought) this.#show(thought, thought.text.flush());
  }

  /** The item is over; without text its encrypted form travels alone. */
  seal(item: number, encrypted: string): void {
    if (this.#view === "none") return;
    const thought = this.#of(item);
    if (thought.isSealed) return;
    thought.isSealed = true;
    const signature = seal(encrypted);
    if (this.#view === "summary" && (!thought.block || thought.block.isClosed)) {
      this.#queue.end(this.#queue.open({ type: "redacted_thinking", data: signature }));
      return;
    }
    thought.block ??= this.#queue.open({ type: "thinking", thinking: "", signature: "" });
    this.#queue.delta(thought.block, { type: "signature_delta", signature });
    this.#queue.end(thought.block);
  }

  #of(item: number): Thought {
    const known = this.#byItem.get(item);
    if (known) return known;
    const thought: Thought = { text: new ReasoningText(), block: undefined, isSealed: false };
    this.#byItem.set(item, thought);
    return thought;
  }

  #show(thought: Thought, text: string): void {
    if (text === "") return;
    if (!thought.block || thought.block.isClosed) {
      thought.block = this.#queue.open({ type: "thinking", thinking: "", signature: "" });
    }
    this.#queue.delta(thought.block, { type: "thinking_delta", thinking: text });
  }
}
