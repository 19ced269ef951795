import { refusedTool, simplerTool } from "../codex/refused-tool.ts";
import type { RelayError } from "../lib/errors.ts";
import { sha256Hex } from "../lib/hash.ts";

/** Tools whose schemas the backend has refused: agents send the same ones with every turn. */
const MOST_TOOLS = 256;

interface Learned {
  readonly tool: unknown;
  /** Keywords that it lost; "" for most of its schema. */
  readonly lost: readonly string[];
}

/** What the backend was found to take of tools that it refused. */
export class ToolMemory {
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
   * Makes the tool simpler that was refused. `sent` is what became of `tools`. False when no tool was refused, or when
   * it cannot be made simpler.
   */
  learn(error: RelayError, tools: readonly unknown[], sent: readonly unknown[]): boolean {
    const index = refusedTool(error, tools);
    if (index === undefined) return false;
    const key = keyOf(tools[index]);
    const before = this.#learned.get(key) ?? { tool: tools[index], lost: [] };
    // Another request may have learned from the same refusal meanwhile.
    if (before.tool !== sent[index]) return true;
    const simpler = simplerTool(before.tool, error.message);
    if (!simpler) return false;
    this.#learned.delete(key);
    this.#learned.set(key, { tool: simpler.tool, lost: [...new Set([...before.lost, simpler.lost])] });
    const [oldest] = this.#learned.keys();
    if (this.#learned.size > MOST_TOOLS && oldest !== undefined) this.#learned.delete(oldest);
    return true;
  }
}

function keyOf(tool: unknown): string {
  return sha256Hex(JSON.stringify(tool) ?? "");
}
