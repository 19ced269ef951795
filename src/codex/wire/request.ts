import { isObject } from "../../lib/json.ts";

/** A request item: message, call, call output, reasoning … */
export interface InputItem {
  readonly type?: string;
  readonly [key: string]: unknown;
}

export interface Reasoning {
  effort?: string;
  summary?: string;
  context?: string;
}

/** The body sent to the backend, classic shape. `codex/request/lite.ts` re-packs it for Responses-Lite models. */
export interface CodexRequest {
  model: string;
  instructions?: string;
  input: InputItem[];
  tools?: unknown[];
  tool_choice?: unknown;
  parallel_tool_calls?: boolean;
  reasoning?: Reasoning;
  text?: Record<string, unknown>;
  include: string[];
  store: false;
  stream: true;
  prompt_cache_key?: string;
  service_tier?: string;
  client_metadata?: unknown;
}

/** True for an object that says which model is to answer what. */
export function isCodexRequest(value: unknown): value is CodexRequest {
  return isObject(value) && typeof value["model"] === "string" && Array.isArray(value["input"]);
}

/** True for a list: its entries come from clients and stores, and are looked at where they are read. */
export function isItemList(value: unknown): value is InputItem[] {
  return Array.isArray(value);
}
