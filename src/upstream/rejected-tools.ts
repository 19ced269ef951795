import { refusedTool, simplerTool } from "../codex/request/tools/refused-tool.ts";
import type { RelayError } from "../lib/errors.ts";
import { sha256Hex } from "../lib/hash.ts";

/** Tools whose schemas the backend has refused: agents send the same ones with every turn. */
const MOST_TOOLS = 1024;

/** A refusal names one tool; what has cost so many of them is likely to be wrong with the others too. */
const LESSONS_FOR_ONE = 3;
/** For one request: each costs another one, and a backend may have an opinion on those that are made in vain. */
const MOST_LESSONS = 12;

interface Learned {
  readonly tool: unknown;
  /** Keywords that it lost; "" for most of its schema. */
  readonly lost: readonly string[];
}

/** What the backend was found to take of tools that it refused. */
export class RejectedTools {
  readonly #learned = new Map<string, Learned>();

  /** The tools as they may be sent, and the paths of what is missing in them. */
  apply(tools: readonly unknown[]): { readonly tools: unknown[]; readonly dropped: readonly string[] } {
    const dropped: string[] = [];
    if (this.#learned.size === 0) return { tools: [...tools], dropped };
    const known = tools.map((tool, index) => {
      const learned = this.#learned.get(keyOf(tool));
      for (const keyword of learned?.lost ?? []) {
        dropped.push(`tools[${index}].parameters${keyword === "" ? "" : `.${keyword}`}`);
      }
      return learned?.tool ?? tool;
    });
    return { tools: known, dropped };
  }

  /**
   * Makes the tool simpler that was refused; after the first few `lessons` of a request every other tool too that would
   * lose the same. `sent` is what became of `tools`. False when no tool was refused, when it cannot be made simpler, and
   * when the request has cost enough.
   */
  learn(error: RelayError, tools: readonly unknown[], sent: readonly unknown[], lessons = 0): boolean {
    const index = refusedTool(error, tools);
    if (index === undefined || lessons >= MOST_LESSONS) return false;
    // Another request may have learned from the same refusal meanwhile.
    if (this.#known(tools[index]).tool !== sent[index]) return true;
    const lost = this.#simplify(tools[index], error.message);
    if (lost === undefined) return false;
    if (lessons >= LESSONS_FOR_ONE) for (const tool of tools) this.#simplify(tool, error.message, lost);
    return true;
  }

  #known(tool: unknown): Learned {
    return this.#learned.get(keyOf(tool)) ?? { tool, lost: [] };
  }

  /** What the tool lost; undefined when nothing, or when that would be something else than `only`. */
  #simplify(tool: unknown, reason: string, only?: string): string | undefined {
    const before = this.#known(tool);
    if (only !== undefined && before.lost.includes(only)) return undefined;
    const simpler = simplerTool(before.tool, reason);
    if (!simpler || (only !== undefined && simpler.lost !== only)) return undefined;
    const key = keyOf(tool);
    this.#learned.delete(key);
    this.#learned.set(key, { tool: simpler.tool, lost: [...new Set([...before.lost, simpler.lost])] });
    const [oldest] = this.#learned.keys();
    if (this.#learned.size > MOST_TOOLS && oldest !== undefined) this.#learned.delete(oldest);
    return simpler.lost;
  }
}

function keyOf(tool: unknown): string {
  return sha256Hex(JSON.stringify(tool) ?? "");
}
