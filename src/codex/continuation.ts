import { canonicalJson } from "../lib/canonical-json.ts";
import { sha256Hex } from "../lib/hash.ts";
import { isNestedTooDeeply } from "../lib/json-shape.ts";
import { isObject, parseJson, type JsonObject } from "../lib/json.ts";
import type { InputItem } from "./wire/request.ts";
import type { OutputItem } from "./wire/schema.ts";

/** What one socket of the backend knows after a response: enough to tell whether a request goes on from there. */
export interface SocketHistory {
  readonly responseId: string;
  /** Digest of everything in the request but its input. */
  readonly settings: string;
  /** The conversation so far: the request's input, then the response's output. */
  readonly steps: readonly Step[];
}

/** A request as it leaves for the backend. */
export interface FinishedBody {
  readonly input: readonly InputItem[];
  readonly [key: string]: unknown;
}

/** What is left to send when the backend has the rest. */
export interface Continuation {
  readonly previous_response_id: string;
  readonly input: readonly InputItem[];
}

/**
 * One item of the conversation, or a run of items that the assistant made. Clients replay such a run in forms of their
 * own (Chat joins texts, Messages splits them into blocks, reasoning moves to the call that it led to), so it has two
 * digests; two runs are the same if either agrees.
 */
interface Step {
  readonly joined: string;
  readonly listed: string;
  /** Items of the input that it covers. */
  readonly length: number;
}

/** A body and its digests, made when first needed and once: they are compared before it is sent, and kept after. */
export class DigestedBody {
  #body: FinishedBody | undefined;
  #settings: string | undefined;
  #steps: readonly Step[] | undefined;
  #openRun: readonly InputItem[] | undefined;

  constructor(body: FinishedBody) {
    this.#body = body;
  }

  get settings(): string {
    return (this.#settings ??= this.#body ? settingsDigest(this.#body) : "");
  }

  get steps(): readonly Step[] {
    return (this.#steps ??= stepsOf(this.itemsFrom(0)));
  }

  /** Items of the assistant at the end of the input: with its answer they make one step. */
  get openRun(): readonly InputItem[] {
    const input = this.itemsFrom(0);
    return (this.#openRun ??= input.slice(input.findLastIndex((item) => !isOfAssistant(item)) + 1));
  }

  /** Only before the body was let go. */
  itemsFrom(index: number): readonly InputItem[] {
    return this.#body?.input.slice(index) ?? [];
  }

  /** Makes the digests, and lets go of the body: the answer to it may take minutes. */
  letGo(): void {
    void [this.settings, this.steps, this.openRun];
    this.#body = undefined;
  }
}

/**
 * The rest of `body` that the backend does not have, or undefined where it is not proven that the backend has the
 * beginning: then the whole body has to go out.
 */
export function continuationOf(history: SocketHistory, body: DigestedBody): Continuation | undefined {
  if (body.settings !== history.settings) return undefined;
  const { steps } = body;
  // A request that adds nothing asks for the same answer again.
  if (steps.length <= history.steps.length) return undefined;
  let length = 0;
  for (const [index, known] of history.steps.entries()) {
    const step = steps[index];
    if (!step || (step.joined !== known.joined && step.listed !== known.listed)) return undefined;
    length += step.length;
  }
  return { previous_response_id: history.responseId, input: body.itemsFrom(length) };
}

/** What the backend has after `output` was its whole, uncut answer to `body`. */
export function historyAfter(body: DigestedBody, responseId: string, output: readonly OutputItem[]): SocketHistory {
  const { settings, steps, openRun } = body;
  const closed = openRun.length > 0 ? steps.slice(0, -1) : steps;
  return { responseId, settings, steps: [...closed, ...stepsOf([...openRun, ...(output as readonly InputItem[])])] };
}

function settingsDigest(body: FinishedBody): string {
  const { input: _input, previous_response_id: _previous, ...settings } = body;
  return digest(settings);
}

function stepsOf(items: readonly InputItem[]): Step[] {
  const steps: Step[] = [];
  let run: InputItem[] = [];
  const endRun = () => {
    if (run.length > 0) steps.push(stepOfRun(run));
    run = [];
  };
  for (const item of items) {
    if (isOfAssistant(item)) run.push(item);
    else {
      endRun();
      const own = digest(canonicalItem(item));
      steps.push({ joined: own, listed: own, length: 1 });
    }
  }
  endRun();
  return steps;
}

function isOfAssistant(item: InputItem): boolean {
  switch (item.type) {
    case undefined:
    case "message":
      return item["role"] === "assistant";
    case "reasoning":
    case "function_call":
    case "custom_tool_call":
    case "local_shell_call":
    case "web_search_call":
    case "image_generation_call":
      return true;
    default:
      return false;
  }
}

function stepOfRun(run: readonly InputItem[]): Step {
  const texts = run.filter(isMessage).map((item) => partsOf(item["content"]).map(canonicalPart));
  const reasoning = run.filter(({ type }) => type === "reasoning").map(canonicalItem);
  const others = run.filter((item) => !isMessage(item) && item.type !== "reasoning").map(canonicalItem);
  const plain = texts.every((parts) => parts.every((part) => typeof part["text"] === "string"));
  if (!plain) {
    const listed = digest([texts.flat(), reasoning, others]);
    return { joined: listed, listed, length: run.length };
  }
  const text = texts.map((parts) => parts.map((part) => part["text"]).join("")).join("\n\n");
  const joined = digest([texts.length > 0 ? text : null, reasoning, others]);
  // Most answers are one text, which makes one digest.
  const list = texts.flat();
  const only = onlyText(list);
  const listed = only === text ? joined : digest([only ?? list, reasoning, others]);
  return { joined, listed, length: run.length };
}

/** The text of a list of one part that says nothing else. */
function onlyText([part, ...more]: readonly JsonObject[]): unknown {
  const hasTextAlone = more.length === 0 && Object.keys(part ?? {}).every((key) => key === "text");
  return hasTextAlone ? part?.["text"] : undefined;
}

function isMessage({ type }: InputItem): boolean {
  return type === undefined || type === "message";
}

/** An item without what upstream adds or a replay leaves out: ids, status, annotations. */
function canonicalItem(item: InputItem): JsonObject {
  if (isMessage(item)) return { role: item["role"], content: partsOf(item["content"]).map(canonicalPart) };
  if (item.type === "reasoning") {
    // Only the encrypted form means anything to the backend.
    return { type: "reasoning", encrypted_content: item["encrypted_content"] };
  }
  const { status: _status, id, arguments: text, ...rest } = item;
  return {
    ...rest,
    // The ciphertext of a compaction is bound to its id.
    ...(isBoundToId(item) ? { id } : {}),
    // A client that keeps arguments as an object writes them anew.
    ...(typeof text === "string" ? { arguments: argumentsIn(text) } : {}),
  };
}

/** As written where they are no JSON, or nested so deeply that to put them in order would need more stack than there is. */
function argumentsIn(text: string): unknown {
  return isNestedTooDeeply(text) ? text : (parseJson(text) ?? text);
}

function isBoundToId({ type }: InputItem): boolean {
  return type === "compaction" || type === "context_compaction" || type === "compaction_summary";
}

function partsOf(content: unknown): JsonObject[] {
  if (typeof content === "string") return [{ type: "input_text", text: content }];
  return Array.isArray(content) ? content.filter(isObject) : [];
}

function canonicalPart(part: JsonObject): JsonObject {
  const { annotations: _annotations, logprobs: _logprobs, type, ...rest } = part;
  return { ...rest, ...(type === "input_text" || type === "output_text" ? {} : { type }) };
}

function digest(value: object): string {
  return sha256Hex(canonicalJson(value));
}
