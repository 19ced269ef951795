import type { ToolForm } from "../codex/request/finish.ts";
import { losesRules, repairTool } from "../codex/request/schema/repair.ts";
import { refusedTool, simplerTool } from "../codex/request/tools/refused-tool.ts";
import type { RelayError } from "../lib/errors.ts";
import { sha256Hex } from "../lib/hash.ts";

/** The backend changes; what it refused this long ago it may take by now. */
export const LEARNED_FOR_MS = 6 * 60 * 60 * 1000;

/** Tools whose schemas the backend has refused: agents send the same ones with every turn. */
const MOST_TOOLS = 1024;

/** A refusal names one tool; what has cost so many of them is likely to be wrong with the others too. */
const REFUSALS_FOR_ONE = 3;
/** For one request: each costs another one, and a backend may have an opinion on those that are made in vain. */
const MOST_REFUSALS = 12;

/** The form in which a model takes a tool. */
export interface LearnedForm extends ToolForm {
  readonly isRepaired: boolean;
}

interface Learned extends LearnedForm {
  readonly untilMs: number;
}

/** What one refused request is, and how many refusals of tools it has cost so far. */
export interface RefusedTools {
  readonly model: string;
  readonly tools: readonly unknown[];
  /** What became of `tools` on the wire. */
  readonly sent: readonly unknown[];
  readonly refusals: number;
  /** False allows only repairs, which lose nothing. */
  readonly mayLose: boolean;
}

/** The forms in which models of the backend take tools that they refused. */
export class RejectedTools {
  readonly #now: () => number;
  readonly #onLearned: (key: string, learned: Learned) => void;
  readonly #learned = new Map<string, Learned>();

  constructor(now: () => number, onLearned: (key: string, learned: Learned) => void = () => {}) {
    this.#now = now;
    this.#onLearned = onLearned;
  }

  /** What another replica has learnt, by the same key. */
  take(key: string, learned: Learned): void {
    this.#learned.delete(key);
    this.#learned.set(key, learned);
    const [oldest] = this.#learned.keys();
    if (this.#learned.size > MOST_TOOLS && oldest !== undefined) this.#learned.delete(oldest);
  }

  /** The form that `model` takes the tool in; undefined for one that it never refused. */
  formOf(model: string, tool: unknown): ToolForm | undefined {
    if (this.#learned.size === 0) return undefined;
    const learned = this.#learned.get(keyOf(model, tool));
    return learned && learned.untilMs > this.#now() ? learned : undefined;
  }

  /**
   * Repairs the tool that was refused, or makes it simpler; after the first few refusals of a request every other tool
   * too that has the same fault. False when no tool was refused, when nothing more can be done to it, and when the
   * request has cost enough.
   */
  learn(error: RelayError, { model, tools, sent, refusals, mayLose }: RefusedTools): boolean {
    const index = refusedTool(error, tools);
    if (index === undefined || refusals >= MOST_REFUSALS) return false;
    // Another request may have learned from the same refusal meanwhile.
    if (this.#current(model, tools[index]).tool !== sent[index]) return true;
    const step = this.#advance(model, tools[index], error.message, mayLose);
    if (step === undefined) return false;
    if (refusals >= REFUSALS_FOR_ONE)
      for (const tool of tools) this.#advance(model, tool, error.message, mayLose, step);
    return true;
  }

  #current(model: string, tool: unknown): Learned {
    const known = this.#learned.get(keyOf(model, tool));
    return known && known.untilMs > this.#now() ? known : { tool, lost: [], isRepaired: false, untilMs: 0 };
  }

  /** What was done: `repair`, or the keyword that was lost. Undefined when nothing, or something else than `only`. */
  #advance(model: string, tool: unknown, reason: string, mayLose: boolean, only?: string): string | undefined {
    const before = this.#current(model, tool);
    if (!before.isRepaired && (only === undefined || only === "repair")) {
      const { tool: repaired, changed } = repairTool(before.tool);
      if (changed.length > 0 && (mayLose || !losesRules(changed))) {
        this.#keep(model, tool, { tool: repaired, lost: changed, isRepaired: true });
        return "repair";
      }
    }
    if (!mayLose || only === "repair" || (only !== undefined && before.lost.includes(parameter(only))))
      return undefined;
    const simpler = simplerTool(before.tool, reason);
    if (!simpler || (only !== undefined && simpler.lost !== only)) return undefined;
    const lost = [...new Set([...before.lost, parameter(simpler.lost)])];
    this.#keep(model, tool, { tool: simpler.tool, lost, isRepaired: true });
    return simpler.lost;
  }

  #keep(model: string, tool: unknown, form: Omit<Learned, "untilMs">): void {
    const key = keyOf(model, tool);
    const learned = { ...form, untilMs: this.#now() + LEARNED_FOR_MS };
    this.take(key, learned);
    this.#onLearned(key, learned);
  }
}

function parameter(keyword: string): string {
  return keyword === "" ? "parameters" : `parameters.${keyword}`;
}

function keyOf(model: string, tool: unknown): string {
  return sha256Hex(JSON.stringify([model, tool]));
}
