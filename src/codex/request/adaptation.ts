import { isObject, type JsonObject } from "../../lib/json.ts";
import { type CodexRequest, type InputItem, isItemList, isCodexRequest } from "../wire/request.ts";
import { isHostedTool, type Envelope } from "./lite.ts";
import { pathText, valueAt, type Path } from "./path.ts";

/** Entries of a list that are meant: input items of one type, or tools of one type and name. */
export interface Selector {
  readonly type: unknown;
  readonly name?: unknown;
}

/** One change to a request that makes a refusal of the backend not come again. */
export type Adaptation =
  /** Without a field at the top or inside one of the objects there. */
  | { readonly kind: "drop"; readonly path: Path }
  /** Without a field of certain input items or tools; positions in `path` stand for any position. */
  | { readonly kind: "drop-inside"; readonly list: "input" | "tools"; readonly of: Selector; readonly path: Path }
  /** Another value, or none, where the request has `from`. */
  | { readonly kind: "replace"; readonly path: Path; readonly from: string; readonly to: string | undefined }
  /** Without one value of `include`. */
  | { readonly kind: "exclude"; readonly value: string }
  /** The choice of a tool that the backend runs is left to the model. */
  | { readonly kind: "free-choice"; readonly of: string }
  /** Text in place of empty instructions. */
  | { readonly kind: "instructions" }
  | { readonly kind: "envelope"; readonly envelope: Envelope }
  /** Only for the request that was refused: without reasoning of earlier turns. */
  | { readonly kind: "without-reasoning" }
  /** Only for the request that was refused: without one compacted part of the conversation, or all of them. */
  | { readonly kind: "without-compaction"; readonly id: string | undefined };

/** True for what is learnt about a model; the rest is about the one request. */
export function isLasting({ kind }: Adaptation): boolean {
  return kind !== "without-reasoning" && kind !== "without-compaction";
}

/**
 * True where the client loses something that it asked for, which `--strict` does not allow. Fields of whole input items
 * are what upstream and SDKs wrote of earlier turns, and clients only send them back.
 */
export function losesSomething(adaptation: Adaptation): boolean {
  const { kind } = adaptation;
  if (kind === "drop-inside") return !(adaptation.list === "input" && adaptation.path.length === 1);
  return kind === "drop" || kind === "replace" || kind === "free-choice";
}

/** Equal adaptations have equal keys; a later one of the same key takes the place of the earlier. */
export function keyOf(adaptation: Adaptation): string {
  return JSON.stringify(adaptation.kind === "envelope" ? ["envelope"] : adaptation);
}

/** What an adaptation did to a request. */
export interface Adapted {
  readonly body: CodexRequest;
  /** Paths for `x-plansocket-adjusted`; none where it changed nothing. */
  readonly names: readonly string[];
}

/** Said to a backend that insists on instructions when the client has none. */
const NEUTRAL_INSTRUCTIONS = "Answer the user.";

const COMPACTION_TYPES = new Set<unknown>(["compaction", "context_compaction", "compaction_summary"]);

/** True for an item that holds a compacted part of a conversation, under any of its names. */
export function isCompaction(item: InputItem): boolean {
  return COMPACTION_TYPES.has(item.type);
}

/** A request with one adaptation; the body itself where it does not concern it. */
export function adapt(body: CodexRequest, adaptation: Adaptation): Adapted {
  switch (adaptation.kind) {
    case "drop":
      return valueAt(body, adaptation.path) === undefined
        ? unchanged(body)
        : adapted(body, without(body, adaptation.path), pathText(adaptation.path));
    case "drop-inside":
      return dropInside(body, adaptation);
    case "replace":
      return replace(body, adaptation);
    case "exclude":
      return body.include.includes(adaptation.value)
        ? { body: { ...body, include: body.include.filter((name) => name !== adaptation.value) }, names: ["include"] }
        : unchanged(body);
    case "free-choice":
      return hostedChoice(body) === adaptation.of
        ? { body: { ...body, tool_choice: "auto" }, names: ["tool_choice"] }
        : unchanged(body);
    case "instructions":
      return body.instructions?.trim()
        ? unchanged(body)
        : { body: { ...body, instructions: NEUTRAL_INSTRUCTIONS }, names: ["instructions"] };
    case "without-reasoning":
      return filtered(body, (item) => item.type !== "reasoning", "reasoning.encrypted_content");
    case "without-compaction":
      return withoutCompaction(body, adaptation.id);
    case "envelope":
      return unchanged(body);
    default:
      return adaptation satisfies never;
  }
}

function unchanged(body: CodexRequest): Adapted {
  return { body, names: [] };
}

function withoutCompaction(body: CodexRequest, meant: string | undefined): Adapted {
  const isMeant = ({ id }: InputItem) => meant === undefined || id === meant;
  return filtered(body, (item) => !(isCompaction(item) && isMeant(item)), "input.compaction");
}

/** What kind of choice forces, or allows alone, a tool that the backend runs; undefined for other choices. */
export function hostedChoice({ tool_choice: choice }: CodexRequest): string | undefined {
  if (!isObject(choice)) return undefined;
  const named: unknown[] = Array.isArray(choice["tools"]) ? choice["tools"] : [];
  const isForced = choice["type"] === "allowed_tools" ? named.some(isHostedTool) : isHostedTool(choice);
  return isForced ? String(choice["type"]) : undefined;
}

function filtered(body: CodexRequest, isKept: (item: InputItem) => boolean, name: string): Adapted {
  const input = body.input.filter(isKept);
  return input.length === body.input.length ? { body, names: [] } : { body: { ...body, input }, names: [name] };
}

/** What came of a change, as long as it still is a request. */
function adapted(body: CodexRequest, changedBody: unknown, name: string): Adapted {
  return isCodexRequest(changedBody) ? { body: changedBody, names: [name] } : unchanged(body);
}

function replace(body: CodexRequest, { path, from, to }: Extract<Adaptation, { kind: "replace" }>): Adapted {
  if (valueAt(body, path) !== from) return unchanged(body);
  const changedBody =
    to === undefined ? without(body, path) : changed(body, path, (parent, key) => ({ ...parent, [key]: to }));
  return adapted(body, changedBody, pathText(path));
}

function dropInside(body: CodexRequest, { list, of, path }: Extract<Adaptation, { kind: "drop-inside" }>): Adapted {
  const names = new Set<string>();
  const strip = (entry: unknown, index: number): unknown => {
    if (!isObject(entry) || !isSelected(entry, of)) return entry;
    const stripped = without(entry, path);
    if (stripped !== entry) names.add(list === "tools" ? pathText(["tools", index, ...path]) : inAny(path));
    return stripped;
  };
  if (list === "tools") {
    const tools = body.tools?.map(strip);
    return names.size === 0 || !tools ? { body, names: [] } : { body: { ...body, tools }, names: [...names] };
  }
  const input = body.input.map(strip);
  return names.size === 0 || !isItemList(input) ? { body, names: [] } : { body: { ...body, input }, names: [...names] };
}

/** The selector of one entry. */
export function selectorOf(entry: JsonObject): Selector {
  return {
    type: entry["type"],
    ...(entry["name"] === undefined || entry["call_id"] !== undefined ? {} : { name: entry["name"] }),
  };
}

function isSelected(entry: JsonObject, { type, name }: Selector): boolean {
  return entry["type"] === type && (name === undefined || entry["name"] === name);
}

/** `input[].content[].detail`: every item of the kind is meant, so no position is named. */
function inAny(path: Path): string {
  return `input[]${path.map((key) => (typeof key === "number" ? "[]" : `.${key}`)).join("")}`;
}

/** Without what the path leads to; the value itself where it leads nowhere. A position stands for all of its list. */
function without(value: unknown, path: Path): unknown {
  return changed(value, path, (parent, key) => {
    if (!Object.hasOwn(parent, key)) return parent;
    const { [key]: _dropped, ...rest } = parent;
    return rest;
  });
}

function changed(
  value: unknown,
  [key, ...rest]: Path,
  change: (parent: JsonObject, key: string) => JsonObject,
): unknown {
  if (typeof key === "number") {
    if (!Array.isArray(value)) return value;
    const list = value.map((entry: unknown) => changed(entry, rest, change));
    return list.every((entry, index) => entry === value[index]) ? value : list;
  }
  if (key === undefined || !isObject(value)) return value;
  if (rest.length === 0) return change(value, key);
  const inner = changed(value[key], rest, change);
  return inner === value[key] ? value : { ...value, [key]: inner };
}
