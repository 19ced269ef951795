import { isCall, objectsOf, textOf } from "../wire/lenient.ts";
import type { Annotation, ContentPart, OutputItem } from "../wire/schema.ts";
import type { KnownItem } from "./item-index.ts";
import { kindOfPart, newPart, partKey, PARTS, type Part, type PartKind, type PartList } from "./parts.ts";

/** A part of an item, as an event tells all of it. */
export interface WholePart {
  readonly kind: PartKind;
  readonly position: number;
  readonly text: string;
  readonly annotations: ContentPart["annotations"];
}

/** An output item on its way to the client. */
export class OpenItem implements KnownItem {
  readonly index: number;
  readonly id: string;
  readonly type: string;
  /** As upstream announced it, or as much as can be said while it has not. */
  announced: OutputItem;
  isAnnounced = false;
  /** Its announcement has been sent. */
  isOpen = false;
  /** As it ended. */
  done: OutputItem | undefined;
  /** Of a call whose announcement waits for its name: what came of it so far. */
  held = "";
  readonly #keepsText: boolean;
  readonly #parts = new Map<string, Part>();
  /** Pieces came that did not say which part they were of. */
  #hasUnplaced = false;
  /** Parts of its content, and of its summary. */
  readonly #counts = { content: 0, summary: 0 };

  constructor(index: number, id: string, type: string, keepsText: boolean) {
    this.index = index;
    this.id = id;
    this.type = type;
    this.#keepsText = keepsText;
    this.announced = type === "message" ? { id, type, status: "in_progress", role: "assistant" } : { id, type };
  }

  get isDone(): boolean {
    return this.done !== undefined;
  }

  get callId(): string | undefined {
    return (this.done?.call_id || this.announced.call_id) ?? undefined;
  }

  get parts(): Iterable<Part> {
    return this.#parts.values();
  }

  isContradictedBy(whole: OutputItem): boolean {
    return this.untoldParts(whole).some(({ kind, position, text }) => {
      const part = this.#parts.get(keyOf(kind, position));
      return part !== undefined && text !== "" && !part.sent.isBeginningOf(text);
    });
  }

  /** The part at a position as upstream counts, which may leave some out. */
  part(kind: PartKind, position: number): Part {
    const list = listOf(kind);
    const key = keyOf(kind, position);
    const known = this.#parts.get(key);
    if (known) return known;
    const part = newPart(kind, this.#counts[list], this.#keepsText);
    this.#counts[list] += 1;
    this.#parts.set(key, part);
    return part;
  }

  /** The newest part of a kind, for events that do not say which one they are of; `whole` is all of its text, if told. */
  unplacedPart(kind: PartKind, whole?: string): Part {
    this.#hasUnplaced = true;
    const newest = this.#newest(kind);
    if (!newest) return this.part(kind, 0);
    const isOver = newest.isTextDone || newest.isDone;
    const isRepeated = whole !== undefined && newest.sent.isBeginningOf(whole) && newest.sent.restOf(whole) === "";
    return isOver && !isRepeated ? this.part(kind, this.#counts[listOf(kind)]) : newest;
  }

  /** Where the newest part of a kind stands as upstream counts, as far as it does. */
  lastPosition(kind: PartKind): number {
    return this.#newest(kind)?.position ?? 0;
  }

  #newest(kind: PartKind): Part | undefined {
    let newest: Part | undefined;
    for (const part of this.#parts.values()) if (part.kind === kind) newest = part;
    return newest;
  }

  /** All parts; where pieces did not say which part they were of, the first may have got the text of all. */
  untoldParts(item: Partial<OutputItem>): WholePart[] {
    const parts = this.wholeParts(item);
    const [first, ...others] = parts;
    const part = first && this.#hasUnplaced ? this.#parts.get(keyOf(first.kind, first.position)) : undefined;
    if (!first || !part || others.length === 0 || part.sent.isEmpty || part.sent.isBeginningOf(first.text))
      return parts;
    const text = parts.map((each) => each.text).join("");
    if (!part.sent.isBeginningOf(text)) return parts;
    return [{ ...first, text, annotations: parts.flatMap(({ annotations }) => objectsOf(annotations)) }];
  }

  /** All that an announcement or an end tells of the item's parts. */
  wholeParts(item: Partial<OutputItem>): WholePart[] {
    if (this.type === "function_call") return whole("arguments", item.arguments);
    if (this.type === "custom_tool_call") return whole("input", item.input);
    if (this.type === "message") return partsOf(item.content, "text");
    if (this.type !== "reasoning") return [];
    const summary = partsOf(item.summary, "summary");
    // Open models send raw reasoning instead of a summary.
    return summary.length > 0 ? summary : partsOf(item.content, "reasoning");
  }

  /** What of an item's end needs another form than upstream's; undefined when it is regular, as most are. */
  fixes(item: Partial<OutputItem>, isWhole = true): Partial<OutputItem> | undefined {
    let fixes: Partial<OutputItem> | undefined;
    if (item.id !== this.id) (fixes ??= {}).id = this.id;
    if (item.type !== this.type) (fixes ??= {}).type = this.type;
    const before = this.done ?? this.announced;
    for (const key in before) {
      if (isEmpty(item[key]) && !isEmpty(before[key]) && !TEXTS.has(key)) (fixes ??= {})[key] = before[key];
    }
    const ofText = this.#textFixes(item, isWhole);
    if (ofText) fixes = { ...fixes, ...ofText };
    const needsStatus = this.type === "message" || isCall({ type: this.type });
    if (item.status === "in_progress" || (needsStatus && !item.status)) (fixes ??= {}).status = "completed";
    return fixes;
  }

  #textFixes(item: Partial<OutputItem>, isWhole: boolean): Partial<OutputItem> | undefined {
    if (this.type === "function_call" || this.type === "custom_tool_call") {
      const field = this.type === "function_call" ? "arguments" : "input";
      const given = textOf(item[field]);
      const text = given || this.#sentOf(field) || this.held || textOf(this.announced[field]);
      // Clients parse arguments as JSON, which an empty text is not.
      const fixed = text === "" && field === "arguments" && isWhole ? "{}" : text;
      return item[field] === fixed ? undefined : { [field]: fixed };
    }
    if (this.type === "reasoning") {
      const summary = objectsOf(item.summary);
      if (summary.length > 0) return undefined;
      const kept = this.#keptParts("summary").map(({ sent }) => ({ type: "summary_text", text: sent.text }));
      const fixed = kept.length > 0 ? kept : objectsOf(this.announced.summary);
      const reasoning = this.#keptParts("reasoning").map(({ sent }) => ({ type: "reasoning_text", text: sent.text }));
      const hasSummary = Array.isArray(item.summary) && fixed.length === 0;
      const hasContent = !isEmpty(item.content) || reasoning.length === 0;
      if (hasSummary && hasContent) return undefined;
      return { ...(hasSummary ? {} : { summary: fixed }), ...(hasContent ? {} : { content: reasoning }) };
    }
    return this.type === "message" ? this.#contentFixes(item) : undefined;
  }

  /** Message parts need `annotations`, which SDKs iterate without asking, and the text that was sent of them. */
  #contentFixes(item: Partial<OutputItem>): Partial<OutputItem> | undefined {
    const parts = objectsOf(item.content);
    const isHollow = parts.every((part) => textOf(part.text) === "" && textOf(part.refusal) === "");
    if (isHollow) {
      const kept = [...this.#keptParts("text"), ...this.#keptParts("refusal")].toSorted(
        (a, b) => a.position - b.position,
      );
      const content = kept.length > 0 ? kept.map(contentOf) : objectsOf(this.done?.content ?? this.announced.content);
      if (content.length > 0) return { content: content.map(regular) };
    }
    const isRegular = Array.isArray(item.content) && item.content.length === parts.length && parts.every(isRegularPart);
    return isRegular ? undefined : { content: parts.map(regular) };
  }

  #sentOf(kind: PartKind): string {
    return this.#parts.get(kind)?.sent.text ?? "";
  }

  #keptParts(kind: PartKind): Part[] {
    const kept: Part[] = [];
    for (const part of this.#parts.values()) if (part.kind === kind && part.sent.text !== "") kept.push(part);
    return kept;
  }
}

function listOf(kind: PartKind): PartList {
  return kind === "summary" ? "summary" : "content";
}

/** Text and refusals share their positions. */
function keyOf(kind: PartKind, position: number): string {
  return PARTS[kind].position === undefined ? kind : partKey(listOf(kind), position);
}

const TEXTS = new Set(["status", "content", "summary", "arguments", "input"]);

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

function whole(kind: PartKind, value: unknown): WholePart[] {
  const text = textOf(value);
  return text === "" ? [] : [{ kind, position: 0, text, annotations: undefined }];
}

function partsOf(list: OutputItem["content"] | OutputItem["summary"], usual: PartKind): WholePart[] {
  const parts: WholePart[] = [];
  let next = 0;
  for (const part of objectsOf<ContentPart>(list)) {
    const position = next++;
    const kind = kindOfPart(part.type) ?? (usual === "text" ? undefined : usual);
    if (kind === undefined) continue;
    parts.push({ kind, position, text: textOf(part[PARTS[kind].field]), annotations: part.annotations });
  }
  return parts;
}

function contentOf({ kind, sent, annotations }: Part): ContentPart {
  if (kind === "refusal") return { type: "refusal", refusal: sent.text };
  return { type: "output_text", text: sent.text, annotations: [...annotations.values()], ...PARTS.text.required };
}

function isRegularPart(part: ContentPart): boolean {
  if (part.type === "refusal") return typeof part.refusal === "string";
  if (part.type !== "output_text") return true;
  const annotations = objectsOf(part.annotations);
  const areRegular = annotations.every((annotation) => regularAnnotation(annotation) === annotation);
  return typeof part.text === "string" && Array.isArray(part.annotations) && areRegular;
}

/** An annotation with the fields that the public schema requires; the same object when it has them. */
export function regularAnnotation(annotation: Annotation): Annotation {
  const { type, title, start_index: from, end_index: to, url } = annotation;
  if (type !== "url_citation") return annotation;
  if (typeof title === "string" && typeof from === "number" && typeof to === "number") return annotation;
  return { ...annotation, title: title ?? url ?? "", start_index: from ?? 0, end_index: to ?? 0 };
}

function regular(part: ContentPart): ContentPart {
  if (part.type === "refusal") return { ...part, refusal: textOf(part.refusal) };
  if (part.type !== "output_text") return part;
  return {
    ...PARTS.text.required,
    ...part,
    text: textOf(part.text),
    annotations: objectsOf(part.annotations).map(regularAnnotation),
  };
}
