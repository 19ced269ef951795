import type { AnswerPart } from "../../codex/output/parts.ts";
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
  readonly #bySlot = new Map<number, Thought>();

  constructor(view: ThinkingView, queue: BlockQueue) {
    this.#view = view;
    this.#queue = queue;
  }

  /** More of what the model thinks. */
  push(part: AnswerPart, text: string): void {
    if (this.#view !== "summary") return;
    const thought = this.#of(part.slot);
    this.#show(thought, thought.text.push(part, text));
  }

  /** A part is over. */
  flush(slot: number): void {
    const thought = this.#bySlot.get(slot);
    if (thought) this.#show(thought, thought.text.flush());
  }

  /** The item is over; without text its encrypted form travels alone. */
  seal(slot: number, encrypted: string): void {
    if (this.#view === "none") return;
    const thought = this.#of(slot);
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

  #of(slot: number): Thought {
    const known = this.#bySlot.get(slot);
    if (known) return known;
    const thought: Thought = { text: new ReasoningText(), block: undefined, isSealed: false };
    this.#bySlot.set(slot, thought);
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
