import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Place } from "../place.ts";
import type { MessagesRequest } from "./schema.ts";

/** A client's tool, and where it is defined. */
export interface OfferedTool {
  readonly tool: JsonObject;
  readonly path: string;
}

/** Finds tools that were not sent at first; here nobody can run it, so all tools are sent at once. */
export const TOOL_SEARCH = /^tool_search_tool_/;

/**
 * The tools that the model is to know by the end of the conversation: those that are not deferred, and those that the
 * conversation has named since, in the order in which it named them. They come last, so that what the backend has
 * cached of the earlier tools still holds.
 */
export function offeredTools(request: MessagesRequest): OfferedTool[] {
  return new Offering(request).tools();
}

class Offering {
  readonly #atOnce: OfferedTool[] = [];
  /** Sent only once the conversation names them; the last of a name counts. */
  readonly #deferred = new Map<string, OfferedTool>();
  /** Names in the order in which they came up. */
  readonly #named = new Set<string>();
  readonly #removed = new Set<string>();

  constructor(request: MessagesRequest) {
    const tools = request.tools ?? [];
    const isSearchedElsewhere = tools.some((tool) => TOOL_SEARCH.test(nonEmptyString(tool["type"]) ?? ""));
    tools.forEach((tool, index) => {
      const offered = { tool, path: `tools.${index}` };
      if (isSearchedElsewhere || tool["defer_loading"] !== true) this.#atOnce.push(offered);
      else this.#defer(offered);
    });
    this.#walk(request.system, () => "system");
    request.messages.forEach(({ content }, index) => {
      if (Array.isArray(content)) this.#walk(content, () => `messages.${index}.content`);
    });
    const forced = nonEmptyString(request.tool_choice?.["name"]);
    if (forced !== undefined) this.#named.add(forced);
  }

  tools(): OfferedTool[] {
    const later = [...this.#named].flatMap((name) => this.#deferred.get(name) ?? []);
    return [...this.#atOnce, ...later].filter(({ tool }) => !this.#removed.has(nameOf(tool) ?? ""));
  }

  #defer(offered: OfferedTool): void {
    const name = nameOf(offered.tool);
    if (name !== undefined) this.#deferred.set(name, offered);
  }

  #walk(content: unknown, at: Place): void {
    if (!Array.isArray(content)) return;
    content.forEach((block: unknown, index) => {
      if (isObject(block)) this.#read(block, () => `${at()}.${index}`);
    });
  }

  #read(block: JsonObject, at: Place): void {
    switch (block["type"]) {
      case "tool_reference":
        this.#name(nonEmptyString(block["tool_name"]));
        break;
      // Whatever was called was known.
      case "tool_use":
        this.#name(nonEmptyString(block["name"]));
        break;
      case "tool_result":
        this.#walk(block["content"], () => `${at()}.content`);
        break;
      case "compaction":
        this.#walk(block["tool_changes"], () => `${at()}.tool_changes`);
        break;
      case "tool_addition":
        this.#add(block["tool"], at);
        break;
      case "tool_removal":
        this.#remove(block["tool"]);
        break;
      default:
    }
  }

  #name(name: string | undefined): void {
    if (name !== undefined) this.#named.add(name);
  }

  #add(target: unknown, at: Place): void {
    if (!isObject(target)) return;
    const { definition } = target;
    if (target["type"] === "tool_definition" && isObject(definition)) {
      this.#defer({ tool: definition, path: `${at()}.tool.definition` });
    }
    const name = nonEmptyString(target["name"]) ?? (isObject(definition) ? nameOf(definition) : undefined);
    if (name !== undefined) this.#removed.delete(name);
    this.#name(name);
  }

  #remove(target: unknown): void {
    const name = isObject(target) ? nonEmptyString(target["name"]) : undefined;
    if (name !== undefined) this.#removed.add(name);
  }
}

function nameOf(tool: JsonObject): string | undefined {
  return nonEmptyString(tool["name"]);
}
