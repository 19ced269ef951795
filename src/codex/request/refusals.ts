import { EFFORTS } from "../models.ts";
import type { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import type { CodexRequest } from "../wire/request.ts";
import { hostedChoice, isCompaction, selectorOf, type Adaptation } from "./adaptation.ts";
import type { Envelope } from "./lite.ts";
import { parsePath, pathsIn, pathText, valueAt, type Path } from "./path.ts";

/** What the backend said against a request. */
interface Refusal {
  readonly code: string | undefined;
  /** As the backend names it: places in the body that was sent. */
  readonly param: string | undefined;
  readonly message: string;
  /** True when the backend does not know the model, or says so. */
  readonly isModelUnknown: boolean;
}

/** What of an error is known about the request that it refuses. */
export function refusalOf(error: RelayError): Refusal {
  return {
    code: error.wireCode ?? undefined,
    param: error.param,
    message: error.message,
    isModelUnknown: error.code === "model_not_found",
  };
}

/** The request that was refused, before it was packed into its envelope. */
export interface RefusedRequest {
  readonly body: CodexRequest;
  readonly envelope: Envelope;
  /** Whether the other envelope may be tried. */
  readonly mayChangeEnvelope: boolean;
  /** A place in the body that was sent, as a place in `body`. */
  readonly toBodyPath: (path: Path) => Path;
}

/** One kind of refusal. The wording changes, so each goes by code, place and single words, never by a sentence. */
interface Row {
  readonly name: string;
  /** Public reports of the refusal. */
  readonly source: string;
  readonly adaptationFor: (refusal: Refusal, request: RefusedRequest) => Adaptation | undefined;
}

const ROWS: readonly Row[] = [
  { name: "compaction item under another id", source: "Soju06/codex-lb#1316", adaptationFor: compaction },
  {
    name: "field of one item or tool",
    source: "openai/codex#31754, james-6-23/codex2api#406",
    adaptationFor: innerField,
  },
  { name: "replayed reasoning", source: "openai/codex#6603, router-for-me/CLIProxyAPI#5439", adaptationFor: reasoning },
  { name: "missing instructions", source: "contract 0.3", adaptationFor: instructions },
  { name: "forced hosted tool", source: "NousResearch/hermes-agent#49008", adaptationFor: toolChoice },
  { name: "envelope", source: "earendil-works/pi#6516, Wei-Shaw/sub2api#4357", adaptationFor: envelope },
  { name: "value that the model lacks", source: "openai/codex#46915", adaptationFor: value },
  { name: "field at the top", source: "BerriAI/litellm#21209", adaptationFor: topField },
];

/** How to send a refused request so that this refusal does not come again; undefined when nothing is known to help. */
export function adaptationFor(refusal: Refusal, request: RefusedRequest): Adaptation | undefined {
  for (const row of ROWS) {
    const adaptation = row.adaptationFor(refusal, request);
    if (adaptation) return adaptation;
  }
  return undefined;
}

const FIELD_CODES = /^(unsupported|unknown|unrecognized|unexpected|extra)_(parameter|field|argument|forbidden)s?$/;
const REFUSES =
  /\b(un(?:supported|known|recognized|recognised|expected)|invalid|extra|additional|not (?:supported|allowed|permitted|accepted|known))\b/i;
const FIELD_WORD = /\b(parameters?|fields?|arguments?|propert(?:y|ies)|keys?|inputs are)\b/i;

/** True for a refusal of a field's being there, whatever its value. */
function isAboutField({ code, message }: Pick<Refusal, "code" | "message">): boolean {
  if (code !== undefined && FIELD_CODES.test(code)) return true;
  if (code !== undefined && code.endsWith("_value")) return false;
  return REFUSES.test(message) && FIELD_WORD.test(message) && !/\bvalues?\b/i.test(message);
}

/** The field at the top of `body` that the backend refuses, whatever its value; undefined for other refusals. */
export function refusedField(refusal: Pick<Refusal, "code" | "param" | "message">, body: object): string | undefined {
  if (!isAboutField(refusal)) return undefined;
  const named = refusal.param === undefined ? [] : [parsePath(refusal.param)];
  const [place] = [...named, ...pathsIn(refusal.message)].filter((path) => path && valueAt(body, path) !== undefined);
  return place?.length === 1 && typeof place[0] === "string" ? place[0] : undefined;
}

/** The place that a refusal is about, as it says so, first in `param` and then in its text. */
function placeOf({ param, message }: Refusal, { body, toBodyPath }: RefusedRequest): Path | undefined {
  const named = param === undefined ? [] : [parsePath(param)];
  for (const path of [...named, ...pathsIn(message)]) {
    if (path === undefined) continue;
    const place = toBodyPath(path);
    if (valueAt(body, place) !== undefined) return place;
  }
  return undefined;
}

/** Never left out: without these there is no request, or another one. */
const ESSENTIAL = new Set<unknown>([
  "model",
  "input",
  "instructions",
  "tools",
  "store",
  "stream",
  "tool_choice",
  "text.format",
]);

/** Of input items and tools: what they are, and what they say. */
const ESSENTIAL_INSIDE = new Set<unknown>([
  "type",
  "role",
  "content",
  "text",
  "call_id",
  "name",
  "arguments",
  "input",
  "output",
  "summary",
  "encrypted_content",
  "image_url",
  "file_data",
  "file_url",
  "filename",
  "refusal",
  "action",
  "result",
  "tools",
  "parameters",
  "format",
  "description",
  "strict",
]);

function innerField(refusal: Refusal, request: RefusedRequest): Adaptation | undefined {
  const place = placeOf(refusal, request);
  const [list, index, ...path] = place ?? [];
  if ((list !== "input" && list !== "tools") || typeof index !== "number") return undefined;
  const leaf = path.at(-1);
  if (leaf === undefined || typeof leaf === "number" || path.includes("parameters")) return undefined;
  const entry = valueAt(request.body, [list, index]);
  // An output belongs to its call by the id; whose it is only SDKs write beside it.
  const isOutputsName = leaf === "name" && isObject(entry) && String(entry["type"]).endsWith("_output");
  if (ESSENTIAL_INSIDE.has(leaf) && !isOutputsName) return undefined;
  const isValueOfOption = refusal.code?.endsWith("_value") === true || REFUSES.test(refusal.message);
  if (!isAboutField(refusal) && !isValueOfOption) return undefined;
  return isObject(entry) ? { kind: "drop-inside", list, of: selectorOf(entry), path } : undefined;
}

function topField(refusal: Refusal, request: RefusedRequest): Adaptation | undefined {
  if (!isAboutField(refusal)) return undefined;
  const place = placeOf(refusal, request);
  if (place === undefined || ESSENTIAL.has(pathText(place)) || place[0] === "input" || place[0] === "tools") {
    return undefined;
  }
  return place[0] === "text" && place[1] === "format" ? undefined : { kind: "drop", path: place };
}

function compaction({ code, param, message }: Refusal, { body, toBodyPath }: RefusedRequest): Adaptation | undefined {
  const items = body.input.filter(isCompaction);
  if (items.length === 0) return undefined;
  const named = items.find(({ id }) => typeof id === "string" && id !== "" && message.includes(id));
  const path = param === undefined ? undefined : parsePath(param);
  const [list, index] = path === undefined ? [] : toBodyPath(path);
  const placed = list === "input" && typeof index === "number" ? body.input[index] : undefined;
  const item = named ?? (placed && isCompaction(placed) ? placed : undefined);
  if (item) return { kind: "without-compaction", id: typeof item["id"] === "string" ? item["id"] : undefined };
  const isAboutIt = /item_?id|compact/i.test(message);
  const isAboutCiphertext = code === "invalid_encrypted_content" || /encrypted/i.test(message);
  const hasReasoning = body.input.some((one) => one.type === "reasoning");
  return isAboutIt || (isAboutCiphertext && !hasReasoning) ? { kind: "without-compaction", id: undefined } : undefined;
}

function reasoning(refusal: Refusal, request: RefusedRequest): Adaptation | undefined {
  const { body } = request;
  if (!body.input.some((item) => item.type === "reasoning")) return undefined;
  const [list, index] = placeOf(refusal, request) ?? [];
  const placed = list === "input" && typeof index === "number" ? body.input[index] : undefined;
  const isAboutIt =
    refusal.code === "invalid_encrypted_content" ||
    placed?.type === "reasoning" ||
    /\brs_\w+|encrypted|unsupported content type|\breasoning (item|content|input)/i.test(refusal.message);
  return isAboutIt ? { kind: "without-reasoning" } : undefined;
}

function instructions(
  { param, message }: Refusal,
  { body, envelope: sent, mayChangeEnvelope }: RefusedRequest,
): Adaptation | undefined {
  if (param !== "instructions" && !/\binstructions\b/i.test(message)) return undefined;
  if (!/requir|missing|must|empty|not valid|invalid/i.test(message)) return undefined;
  if (!body.instructions?.trim()) return { kind: "instructions" };
  return mayChangeEnvelope ? otherEnvelope(sent) : undefined;
}

function toolChoice({ param, message }: Refusal, { body }: RefusedRequest): Adaptation | undefined {
  const forced = hostedChoice(body);
  if (forced === undefined) return undefined;
  return param?.startsWith("tool_choice") === true || /tool[ _]?choice/i.test(message)
    ? { kind: "free-choice", of: forced }
    : undefined;
}

function envelope(refusal: Refusal, { envelope: sent, mayChangeEnvelope }: RefusedRequest): Adaptation | undefined {
  if (!mayChangeEnvelope) return undefined;
  const isAboutLite = /responses[- ]?lite|additional_tools/i.test(refusal.message);
  if (sent === "lite") return isAboutLite || refusal.isModelUnknown ? otherEnvelope(sent) : undefined;
  return isAboutLite || refusal.isModelUnknown ? otherEnvelope(sent) : undefined;
}

function otherEnvelope(sent: Envelope): Adaptation {
  return { kind: "envelope", envelope: sent === "full" ? "lite" : "full" };
}

/** Fields whose value a model may lack, and the order of their values where there is one. */
const VALUES: readonly { readonly path: readonly [string, ...string[]]; readonly order: readonly string[] }[] = [
  { path: ["reasoning", "effort"], order: EFFORTS },
  { path: ["reasoning", "summary"], order: [] },
  { path: ["reasoning", "context"], order: [] },
  { path: ["text", "verbosity"], order: ["low", "medium", "high"] },
  { path: ["service_tier"], order: [] },
];

function value(refusal: Refusal, { body }: RefusedRequest): Adaptation | undefined {
  const { code, param, message } = refusal;
  if (isAboutField(refusal) || !(code?.endsWith("_value") === true || REFUSES.test(message))) return undefined;
  // What comes behind the list's own heading is what would be taken, not what was refused.
  const [refused = "", supported = ""] = message.split(/\b(?:supported|allowed|valid|accepted) values?\b|\bone of\b/i);
  const mentioned = new Set(pathsIn(refused).map(pathText));
  const included = body.include.find((name) => mentioned.has(name));
  if (included !== undefined && included !== "reasoning.encrypted_content") return { kind: "exclude", value: included };
  const field =
    VALUES.find(({ path }) => pathText(path) === param || mentioned.has(pathText(path))) ??
    VALUES.find(({ path }) => mentioned.has(String(valueAt(body, path))));
  const from = field && valueAt(body, field.path);
  if (!field || typeof from !== "string") return undefined;
  return { kind: "replace", path: field.path, from, to: nearest(from, supported.match(/[\w-]+/g) ?? [], field.order) };
}

/** Taken by every model, for a refusal that does not list what the model takes. */
const USUAL_VALUES = ["low", "medium", "high"];

/** The supported value next to the one asked for, the lower of two; undefined leaves the field out. */
function nearest(from: string, supported: readonly string[], order: readonly string[]): string | undefined {
  const at = order.indexOf(from);
  const listed = supported.filter((entry) => entry !== from && order.includes(entry));
  const usable = listed.length > 0 ? listed : USUAL_VALUES.filter((entry) => entry !== from && order.includes(entry));
  const distance = (entry: string) => Math.abs(order.indexOf(entry) - at);
  return usable.toSorted((a, b) => distance(a) - distance(b) || order.indexOf(a) - order.indexOf(b))[0];
}
