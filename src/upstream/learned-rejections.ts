import { keyOf, type Adaptation } from "../codex/request/adaptation.ts";
import type { InputItem } from "../codex/wire/schema.ts";
import { sha256Hex } from "../lib/hash.ts";
import { Packing } from "./compression.ts";
import { LEARNED_FOR_MS, RejectedTools } from "./rejected-tools.ts";

/** Models, and adaptations for each; more are inventions of a backend that refuses everything. */
const MOST_MODELS = 64;
const MOST_ADAPTATIONS = 32;
/** Encrypted reasoning that was refused. A conversation has a few dozen. */
const MOST_REASONING = 4096;

interface Learned {
  readonly adaptation: Adaptation;
  readonly untilMs: number;
}

/** What the backend's refusals have taught, for requests to come: by model, and for some hours. */
export class LearnedRejections {
  readonly tools: RejectedTools;
  readonly packing = new Packing();
  readonly #now: () => number;
  readonly #byModel = new Map<string, Map<string, Learned>>();
  /** Hashes of encrypted reasoning that cannot be read any more, and until when that is remembered. */
  readonly #unreadable = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
    this.tools = new RejectedTools(now);
  }

  /** What holds for a model now, in the order in which it was learnt. */
  of(model: string): Adaptation[] {
    const learned = [...(this.#byModel.get(model)?.values() ?? [])];
    return learned.filter(({ untilMs }) => untilMs > this.#now()).map(({ adaptation }) => adaptation);
  }

  learn(model: string, adaptation: Adaptation): void {
    const learned = this.#byModel.get(model) ?? new Map<string, Learned>();
    this.#byModel.set(model, learned);
    learned.delete(keyOf(adaptation));
    learned.set(keyOf(adaptation), { adaptation, untilMs: this.#now() + LEARNED_FOR_MS });
    dropOldest(learned, MOST_ADAPTATIONS);
    dropOldest(this.#byModel, MOST_MODELS);
  }

  /** The reasoning in these items cannot be read; later turns of their conversations go without it. */
  forgetReasoning(items: readonly InputItem[]): void {
    for (const item of items) {
      const key = reasoningKey(item);
      if (key !== undefined) this.#unreadable.set(key, this.#now() + LEARNED_FOR_MS);
    }
    dropOldest(this.#unreadable, MOST_REASONING);
  }

  isUnreadable(item: InputItem): boolean {
    if (this.#unreadable.size === 0) return false;
    const key = reasoningKey(item);
    return key !== undefined && (this.#unreadable.get(key) ?? 0) > this.#now();
  }
}

function reasoningKey(item: InputItem): string | undefined {
  const encrypted = item["encrypted_content"];
  return item.type === "reasoning" && typeof encrypted === "string" ? sha256Hex(encrypted) : undefined;
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
