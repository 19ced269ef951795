import { keyOf, type Adaptation } from "../codex/request/adaptation.ts";
import type { InputItem } from "../codex/wire/request.ts";
import { sha256Hex } from "../lib/hash.ts";
import { Packing } from "./compression.ts";
import { LEARNED_FOR_MS, RejectedTools, type LearnedForm } from "./rejected-tools.ts";

/** Models, and adaptations for each; more are inventions of a backend that refuses everything. */
const MOST_MODELS = 64;
const MOST_ADAPTATIONS = 32;
/** Encrypted reasoning that was refused. A conversation has a few dozen. */
const MOST_REASONING = 4096;

/** One thing that was learnt, as replicas tell it to each other. */
export type LearnedEntry = { readonly untilMs: number } & (
  | { readonly kind: "adaptation"; readonly model: string; readonly adaptation: Adaptation }
  | { readonly kind: "tool"; readonly key: string; readonly form: LearnedForm }
  | { readonly kind: "reasoning"; readonly key: string }
);

/** Tells the other replicas; equal names replace each other. */
export type TellLearned = (name: string, entry: LearnedEntry) => void;

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

  readonly #tell: TellLearned;

  constructor(now: () => number, tell: TellLearned = () => {}) {
    this.#now = now;
    this.#tell = tell;
    this.tools = new RejectedTools(now, (key, { untilMs, ...form }) => {
      tell(`tool ${key}`, { kind: "tool", key, form, untilMs });
    });
  }

  /** What another replica has learnt. */
  take(entry: LearnedEntry): void {
    if (entry.kind === "adaptation") this.#keep(entry.model, entry.adaptation, entry.untilMs);
    else if (entry.kind === "tool") this.tools.take(entry.key, { ...entry.form, untilMs: entry.untilMs });
    else this.#keepUnreadable(entry.key, entry.untilMs);
  }

  /** What holds for a model now, in the order in which it was learnt. */
  of(model: string): Adaptation[] {
    const learned = [...(this.#byModel.get(model)?.values() ?? [])];
    return learned.filter(({ untilMs }) => untilMs > this.#now()).map(({ adaptation }) => adaptation);
  }

  learn(model: string, adaptation: Adaptation): void {
    const untilMs = this.#now() + LEARNED_FOR_MS;
    this.#keep(model, adaptation, untilMs);
    const name = `adaptation ${sha256Hex(JSON.stringify([model, keyOf(adaptation)]))}`;
    this.#tell(name, { kind: "adaptation", model, adaptation, untilMs });
  }

  #keep(model: string, adaptation: Adaptation, untilMs: number): void {
    const learned = this.#byModel.get(model) ?? new Map<string, Learned>();
    this.#byModel.set(model, learned);
    learned.delete(keyOf(adaptation));
    learned.set(keyOf(adaptation), { adaptation, untilMs });
    dropOldest(learned, MOST_ADAPTATIONS);
    dropOldest(this.#byModel, MOST_MODELS);
  }

  /** The reasoning in these items cannot be read; later turns of their conversations go without it. */
  forgetReasoning(items: readonly InputItem[]): void {
    for (const item of items) {
      const key = reasoningKey(item);
      if (key === undefined) continue;
      const untilMs = this.#now() + LEARNED_FOR_MS;
      this.#keepUnreadable(key, untilMs);
      this.#tell(`reasoning ${key}`, { kind: "reasoning", key, untilMs });
    }
  }

  #keepUnreadable(key: string, untilMs: number): void {
    this.#unreadable.set(key, untilMs);
    dropOldest(this.#unreadable, MOST_REASONING);
  }

  /** False where nothing can be unreadable, which is nearly always: then no item need be asked about. */
  get hasUnreadable(): boolean {
    return this.#unreadable.size > 0;
  }

  isUnreadable(item: InputItem): boolean {
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
