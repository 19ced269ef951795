import { isObject } from "../../lib/json.ts";
import { hostedTypeOf, WireEvent, type DeltaRun } from "../wire/event.ts";
import { isTerminal } from "../wire/event-types.ts";
import { isCall, objectsOf, readEvent, responseOf, shortReason, textOf } from "../wire/lenient.ts";
import type { Annotation, CodexEvent, OutputItem, ResponseObject } from "../wire/schema.ts";
import type { AnswerOptions } from "./events.ts";
import { ItemIndex, keyOf } from "./item-index.ts";
import { OpenItem, regularAnnotation } from "./open-item.ts";
import type { OutputLimit } from "./output-limit.ts";
import { KIND_OF_DELTA, KIND_OF_DONE, kindOfPart, PARTS, type Part, type PartKind } from "./parts.ts";
import { estimatedUsage, wholeUsage } from "./usage.ts";

type Fields = Record<string, unknown>;

/** Where the relay ends an answer that its client allows only so many tokens. */
export interface AnswerCut {
  readonly limit: OutputLimit;
  /** What the question costs, by estimate: upstream, which would tell, is not heard to its end. */
  readonly inputTokens: number;
}

/** The cut that answer options ask for. */
export function cutOf({ limit, inputTokens }: Pick<AnswerOptions, "limit" | "inputTokens">): AnswerCut | undefined {
  return limit && { limit, inputTokens };
}

interface NormalizerOptions {
  /** The last event has the whole output, and parts end with events of their own. */
  readonly keepsText: boolean;
  readonly cut?: AnswerCut | undefined;
}

/**
 * Upstream events → the regular stream that the public API documents, for every dialect: items and parts are announced
 * before their pieces, once; each has one index and one id; nothing is sent twice; what only a later event tells is sent
 * as the delta that was missing; everything that was announced has ended before the answer does. An event that is
 * regular already passes as it is, and its bytes with it.
 */
export class Normalizer {
  readonly #emit: (event: WireEvent) => void;
  readonly #keepsText: boolean;
  readonly #items: ItemIndex<OpenItem>;
  #created: ResponseObject = {};
  /** The last delta's, if it passed as it was: most that follow are of the same part. */
  #run: DeltaRun | undefined;
  #part: Part | undefined;

  readonly #stop: AnswerCut | undefined;
  #isOver = false;
  /** The terminal event has been sent. */
  #hasEnded = false;

  constructor(emit: (event: WireEvent) => void, { keepsText, cut }: NormalizerOptions) {
    // The client's limit may end the answer in the midst of an event that tells more than that.
    this.#emit = (event) => {
      if (!this.#hasEnded) emit(event);
    };
    this.#keepsText = keepsText;
    this.#stop = cut;
    this.#items = new ItemIndex((index, id, type) => new OpenItem(index, id, type, keepsText));
  }

  /** An event that is mangled is lost, no more: whatever it says, its item's end says again. */
  onEvent(wire: WireEvent): void {
    if (this.#isOver) return;
    if (wire.run !== undefined && wire.run === this.#run && this.#part) {
      if (this.#stop && !this.#isWithinLimit(wire, this.#part, wire.delta)) return;
      this.#part.sent.add(wire);
      this.#emit(wire);
      return;
    }
    this.#run = undefined;
    const event = readEvent(wire);
    if (!event) return;
    // Nothing at all is wanted but the question's being read.
    if (this.#stop?.limit.maxTokens === 0 && isOutput(event.type)) this.#stopHere(this.#stop);
    else this.#read(wire, event);
  }

  #read(wire: WireEvent, event: CodexEvent): void {
    const fields: Fields = event;
    const deltaOf = KIND_OF_DELTA.get(event.type);
    if (deltaOf) return this.#delta(wire, fields, deltaOf);
    const doneOf = KIND_OF_DONE.get(event.type);
    if (doneOf) return this.#textDone(wire, fields, doneOf);
    switch (event.type) {
      case "response.created":
        this.#created = responseOf(event);
        this.#emit(wire);
        break;
      case "response.output_item.added":
        this.#itemAdded(wire, event.item, fields);
        break;
      case "response.output_item.done":
        this.#itemDone(wire, this.#items.ofDone(event.item, keyOf(fields, event.item.id)), event.item);
        break;
      case "response.content_part.added":
      case "response.reasoning_summary_part.added":
        this.#partAdded(wire, fields);
        break;
      case "response.content_part.done":
      case "response.reasoning_summary_part.done":
        this.#partDone(wire, fields);
        break;
      case "response.output_text.annotation.added":
        this.#annotation(wire, fields, event.annotation);
        break;
      default:
        if (isTerminal(event.type)) this.#end(wire, event);
        else this.#other(wire, fields);
    }
  }

  #delta(wire: WireEvent, fields: Fields, kind: PartKind): void {
    const item = this.#items.ofPiece(keyOf(fields), PARTS[kind].itemType);
    const part = partAt(item, kind, fields);
    const text = textOf(fields["delta"]);
    if (item.isDone || part.isWhole) return;
    if (!this.#open(item)) {
      item.held += text;
      return;
    }
    this.#openPart(item, part);
    if (this.#stop && !this.#isWithinLimit({ ...fields, ...at(item, part) }, part, text)) return;
    part.sent.add(wire.run ? wire : text);
    const isRegular = this.#passOfPart(wire, fields, item, part, "delta", text);
    if (isRegular && wire.run) {
      this.#run = wire.run;
      this.#part = part;
    }
  }

  #textDone(wire: WireEvent, fields: Fields, kind: PartKind): void {
    const { field, itemType } = PARTS[kind];
    const item = this.#items.ofPiece(keyOf(fields), itemType);
    const text = textOf(fields[field]);
    const part = partAt(item, kind, fields, text);
    if (item.isDone) return;
    if (!this.#open(item)) {
      if (text !== "") item.held = text;
      return;
    }
    if (text === "" && !part.isOpen && part.sent.isEmpty) return;
    this.#rest(item, part, text);
    if (part.isTextDone) return;
    // With nothing to say, or another text than was sent, it is no end yet.
    if (text === "" && !this.#keepsText) return;
    part.isTextDone = true;
    this.#passOfPart(wire, fields, item, part, field, text === "" ? part.sent.text : text);
  }

  #itemAdded(wire: WireEvent, item: OutputItem, fields: Fields): void {
    const open = this.#items.ofAnnouncement(item, keyOf(fields, item.id));
    open.announced = open.isAnnounced ? overlaid(item, open.announced) : overlaid(open.announced, item);
    open.isAnnounced = true;
    if (open.isOpen || open.isDone) return;
    const whole = withoutTexts(item);
    const isRegular = whole === item && item.id === open.id && fields["output_index"] === open.index;
    if (isCall(item) && !(item.name && item.call_id)) this.#open(open);
    else if (isRegular) this.#announce(open, wire);
    else this.#announce(open, WireEvent.made({ ...fields, output_index: open.index, item: { ...whole, id: open.id } }));
  }

  /** Sends an item's announcement if it has not been sent. False for a call whose name and id are not known yet. */
  #open(item: OpenItem, mustOpen = false): boolean {
    if (item.isOpen) return true;
    const { announced, type } = item;
    if (isCall(announced) && !mustOpen && !(announced.name && announced.call_id)) return false;
    const status = needsStatus(type) ? { status: "in_progress" } : {};
    // SDKs need the list that raw reasoning goes to.
    const content = type === "reasoning" ? { content: [] } : {};
    const whole = withoutTexts({ ...announced, ...status, ...content, id: item.id, type });
    this.#announce(item, made({ type: "response.output_item.added", output_index: item.index, item: whole }));
    return true;
  }

  #announce(item: OpenItem, added: WireEvent): void {
    item.isOpen = true;
    this.#emit(added);
    const { held } = item;
    item.held = "";
    if (held === "") return;
    const kind = item.type === "function_call" ? "arguments" : "input";
    this.#rest(item, item.part(kind, 0), held, false);
  }

  #openPart(item: OpenItem, part: Part): void {
    const { part: events } = PARTS[part.kind];
    if (part.isOpen) return;
    part.isOpen = true;
    if (events) this.#emit(made({ type: events.added, ...at(item, part), part: partOf(part, "") }));
  }

  #partAdded(wire: WireEvent, fields: Fields): void {
    const kind = kindOfPart(isObject(fields["part"]) ? fields["part"]["type"] : undefined);
    if (!kind) return this.#other(wire, fields);
    const item = this.#items.ofPiece(keyOf(fields), PARTS[kind].itemType);
    const part = partAt(item, kind, fields);
    if (item.isDone || part.isOpen) return;
    this.#open(item);
    part.isOpen = true;
    this.#passOfPart(wire, fields, item, part);
  }

  #partDone(wire: WireEvent, fields: Fields): void {
    const whole = isObject(fields["part"]) ? fields["part"] : {};
    const kind = kindOfPart(whole["type"]);
    if (!kind) return this.#other(wire, fields);
    const item = this.#items.ofPiece(keyOf(fields), PARTS[kind].itemType);
    const text = textOf(whole[PARTS[kind].field]);
    const part = partAt(item, kind, fields, text);
    if (item.isDone) return;
    this.#open(item);
    const { annotations } = whole;
    this.#wholePart(item, part, text, isAnnotations(annotations) ? annotations : undefined);
    if (part.isDone) return;
    part.isDone = true;
    this.#passOfPart(wire, fields, item, part);
  }

  #annotation(wire: WireEvent, fields: Fields, told: Annotation): void {
    const annotation = regularAnnotation(told);
    const item = this.#items.ofPiece(keyOf(fields), "message");
    const part = item.part("text", positionOf(fields, "text") ?? item.lastPosition("text"));
    if (item.isDone || !isNews(part, annotation)) return;
    this.#open(item);
    this.#openPart(item, part);
    this.#passOfPart(wire, fields, item, part, "annotation", annotation);
  }

  /** Progress of hosted tools, private events, and whatever is newer than the relay. */
  #other(wire: WireEvent, fields: Fields): void {
    const type = hostedTypeOf(wire.type);
    if (type === undefined) return this.#emit(wire);
    const item = this.#items.ofPiece(keyOf(fields), type);
    if (item.isDone) return;
    this.#open(item);
    this.#pass(wire, fields, { output_index: item.index, item_id: item.id });
  }

  /** An item has ended, or is told once more after its end. `wire` is undefined where no event says so. */
  #itemDone(wire: WireEvent | undefined, item: OpenItem, ended: Partial<OutputItem>): void {
    const fixes = item.fixes(ended);
    const merged = fixes ? { ...ended, ...fixes } : ended;
    const whole = isOutputItem(merged) ? merged : { ...merged, type: item.type };
    // A call may be named by its end alone.
    if (!item.isOpen) item.announced = overlaid(item.announced, whole);
    this.#open(item, true);
    for (const { kind, position, text, annotations } of item.untoldParts(whole)) {
      this.#wholePart(item, item.part(kind, position), text, annotations);
      if (this.#hasEnded) return;
    }
    const isRepeated = item.isDone;
    item.done = whole;
    if (isRepeated) return;
    if (this.#keepsText) for (const part of item.parts) this.#endPart(item, part, whole);
    if (!wire) this.#emit(made({ type: "response.output_item.done", output_index: item.index, item: whole }));
    else if (fixes) this.#pass(wire, wire.event, { output_index: item.index, item: whole });
    else this.#pass(wire, wire.event, { output_index: item.index });
  }

  #wholePart(item: OpenItem, part: Part, text: string, annotations: Annotation[] | null | undefined): void {
    this.#rest(item, part, text);
    for (const annotation of objectsOf(annotations).map(regularAnnotation)) {
      if (!isNews(part, annotation)) continue;
      this.#openPart(item, part);
      const key = { ...at(item, part), annotation_index: part.annotations.size - 1 };
      this.#emit(made({ type: "response.output_text.annotation.added", ...key, annotation }));
    }
  }

  /** Sends what of the whole text has not been sent, unless another text was. */
  #rest(item: OpenItem, part: Part, whole: string, isWhole = true): void {
    if (part.isWhole || whole === "") return;
    const rest = part.sent.restOf(whole);
    if (rest === undefined) return;
    part.isWhole = isWhole;
    if (rest === "") return;
    this.#openPart(item, part);
    const { delta: type, required } = PARTS[part.kind];
    const event = { type, ...at(item, part), ...required };
    if (this.#hasEnded || !this.#isWithinLimit(event, part, rest)) return;
    part.sent.add(rest);
    this.#emit(made({ ...event, delta: rest }));
  }

  /** False once the client's limit of tokens has been reached: then the answer has been ended, within this delta. */
  #isWithinLimit(delta: WireEvent | Fields, part: Part, text: string): boolean {
    if (!this.#stop || !TEXTS.has(part.kind)) return true;
    const allowed = this.#stop.limit.take(text);
    if (!this.#stop.limit.isHit) return true;
    this.#isOver = true;
    part.sent.add(allowed);
    const event: Fields = delta instanceof WireEvent ? delta.event : delta;
    const type = PARTS[part.kind].delta;
    if (allowed !== "") this.#emit(made({ ...PARTS[part.kind].required, ...event, type, delta: allowed }));
    this.#stopHere(this.#stop);
    return false;
  }

  /** Ends the answer as one that was cut short by its limit. */
  #stopHere({ inputTokens, limit }: AnswerCut): void {
    this.#isOver = true;
    const usage = estimatedUsage(inputTokens, limit.maxTokens);
    const response = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, usage };
    const end = { type: "response.incomplete", response } as const;
    this.#end(made(end), end);
  }

  /** The events that end a part, where upstream left them out. */
  #endPart(item: OpenItem, part: Part, whole: OutputItem): void {
    const { done, field, part: events, required } = PARTS[part.kind];
    const isEnded = part.isTextDone && (part.isDone || !events);
    if (isEnded || (!part.isOpen && part.sent.isEmpty)) return;
    const text = part.sent.text;
    const name = part.kind === "arguments" ? { name: whole.name } : {};
    if (!part.isTextDone) this.#emit(made({ type: done, ...at(item, part), ...name, [field]: text, ...required }));
    part.isTextDone = true;
    if (!part.isDone && events) this.#emit(made({ type: events.done, ...at(item, part), part: partOf(part, text) }));
    part.isDone = true;
  }

  #end(wire: WireEvent, event: CodexEvent): void {
    const response = responseOf(event);
    const isWhole = event.type !== "response.failed" && shortReason(event.type, response) === undefined;
    const list = objectsOf(response.output);
    if (list.length > 0) this.#passFinal(list, isWhole);
    const isShort = !isWhole && event.type !== "response.failed";
    for (const item of this.#shown) {
      if (isWhole) this.#endUnended(item, "completed");
      // A call that was cut short must not look like one that can be made: it never ends.
      else if (isShort && !isCall(item.announced)) this.#endUnended(item, "incomplete");
    }
    const usage = wholeUsage(response.usage);
    if (this.#keepsText || usage !== response.usage) {
      const output = this.#keepsText ? { output: this.#output(isWhole) } : {};
      const status = endStatus(event.type, response.status);
      const whole = { ...this.#created, ...response, status, ...output, ...(usage ? { usage } : {}) };
      this.#emit(WireEvent.of({ ...event, response: whole }));
    } else this.#emit(wire);
    this.#hasEnded = true;
  }

  /** Sends what the last event's list tells of items and nothing told before. */
  #passFinal(list: readonly OutputItem[], isWhole: boolean): void {
    this.#items.ofFinal(list).forEach((item, position) => {
      const final = list[position];
      if (!final) return;
      if (isWhole || item.isDone || !isCall(final)) this.#itemDone(undefined, item, final);
      else this.#cut(item, final);
    });
  }

  /** What the client's limit kept back has never been. */
  get #shown(): readonly OpenItem[] {
    return this.#isOver ? this.#items.inOrder.filter(({ isOpen }) => isOpen) : this.#items.inOrder;
  }

  /** What is known of a call that was cut short. */
  #cut(item: OpenItem, final: OutputItem): void {
    item.announced = overlaid(item.announced, final);
    for (const { kind, position, text } of item.wholeParts(final)) {
      if (this.#open(item)) this.#rest(item, item.part(kind, position), text);
    }
  }

  #endUnended(item: OpenItem, status: string): void {
    if (item.isDone || !isUsable(item)) return;
    this.#itemDone(undefined, item, { ...bare(item.announced), ...(needsStatus(item.type) ? { status } : {}) });
  }

  #output(isWhole: boolean): OutputItem[] {
    return this.#shown.flatMap((item) => {
      if (item.done) return [item.done];
      if (!isUsable(item)) return [];
      const whole = { ...bare(item.announced), ...item.fixes(bare(item.announced), isWhole), type: item.type };
      return [isWhole || !needsStatus(whole.type) ? whole : { ...whole, status: "incomplete" }];
    });
  }

  /** Sends the event as it is, or with what of it has to be another. True when it passed as it is. */
  #pass(wire: WireEvent, fields: Fields, regular: Fields): boolean {
    const isRegular = hasAll(fields, regular);
    this.#emit(isRegular ? wire : WireEvent.made({ ...fields, ...regular }));
    return isRegular;
  }

  /** The same for an event of a part, which has `value` in `field`. Most are regular: nothing is made to find that out. */
  #passOfPart(wire: WireEvent, fields: Fields, item: OpenItem, part: Part, field?: string, value?: unknown): boolean {
    const { position } = PARTS[part.kind];
    const isRegular =
      fields["output_index"] === item.index &&
      fields["item_id"] === item.id &&
      (position === undefined || fields[position] === part.position) &&
      (field === undefined || fields[field] === value);
    if (isRegular) this.#emit(wire);
    else
      this.#emit(WireEvent.made({ ...fields, ...at(item, part), ...(field === undefined ? {} : { [field]: value }) }));
    return isRegular;
  }
}

function isOutput(type: string): boolean {
  return /^response\.(output|content|reasoning|refusal|function|custom)/.test(type);
}

/** Asked of every event: a loop over the keys costs a third of one over entries. */
function hasAll(fields: Fields, wanted: Fields): boolean {
  for (const key in wanted) if (fields[key] !== wanted[key]) return false;
  return true;
}

function isOutputItem(item: Partial<OutputItem>): item is OutputItem {
  return typeof item.type === "string";
}

function isAnnotations(value: unknown): value is Annotation[] {
  return Array.isArray(value);
}

function made(event: Fields & { readonly type: string }): WireEvent {
  return WireEvent.made(event);
}

/** How the regular stream says which part an event is of. */
function at(item: OpenItem, part: Part): Fields {
  const { position } = PARTS[part.kind];
  const key = { output_index: item.index, item_id: item.id };
  return position === undefined ? key : { ...key, [position]: part.position };
}

function positionOf(fields: Fields, kind: PartKind): number | undefined {
  const { position } = PARTS[kind];
  const value = position === undefined ? 0 : fields[position];
  return typeof value === "number" ? value : undefined;
}

/** The part that an event speaks of; `whole` is all of its text, where the event has it. */
function partAt(item: OpenItem, kind: PartKind, fields: Fields, whole?: string): Part {
  const position = positionOf(fields, kind);
  return position === undefined ? item.unplacedPart(kind, whole) : item.part(kind, position);
}

function partOf({ kind, annotations }: Part, text: string): Fields {
  const { field, part, required } = PARTS[kind];
  const cited = kind === "text" ? { annotations: [...annotations.values()] } : {};
  return { type: part?.type, [field]: text, ...cited, ...required };
}

/** Notes an annotation. False when the part has it already. */
function isNews(part: Part, annotation: Annotation): boolean {
  const { type, url, title, start_index: from, end_index: to, file_id: file } = annotation;
  const key = JSON.stringify([type, url, title, from, to, file]);
  if (part.annotations.has(key)) return false;
  part.annotations.set(key, annotation);
  return true;
}

/** An item as it is announced: its texts come as deltas. The same object when it is so already. */
function withoutTexts(item: OutputItem): OutputItem {
  const empty = EMPTY_TEXTS[item.type];
  if (!empty) return item;
  for (const key in empty) if (item[key] !== empty[key] && !isEmptyList(item[key])) return { ...item, ...empty };
  return item;
}

/** What counts toward the client's limit: what it sees of the answer. */
const TEXTS: ReadonlySet<PartKind> = new Set(["text", "refusal"]);

const EMPTY_TEXTS: Readonly<Record<string, Partial<OutputItem>>> = {
  message: { content: [] },
  reasoning: { summary: [] },
  function_call: { arguments: "" },
  custom_tool_call: { input: "" },
};

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** An item without what its parts tell better. */
function bare({
  content: _content,
  summary: _summary,
  arguments: _arguments,
  input: _input,
  ...item
}: Partial<OutputItem>) {
  return item;
}

/** An item with what another telling of it has to say beside it. */
function overlaid(item: OutputItem, told: OutputItem): OutputItem {
  const whole: OutputItem = { ...item };
  for (const key in told) {
    const value = told[key];
    // Assigned, `__proto__` would become what the item inherits from.
    if (value !== "" && value !== null && value !== undefined && key !== "__proto__") whole[key] = value;
  }
  return whole;
}

function needsStatus(type: string): boolean {
  return type === "message" || isCall({ type });
}

/** A call that nobody can answer is none: its name and its id never came. */
function isUsable(item: OpenItem): boolean {
  return !isCall(item.announced) || item.callId !== undefined;
}

/** The status of a reply that has ended. Upstream may leave it out, or repeat that of the beginning. */
function endStatus(type: string, status: string | null | undefined): string {
  if (type === "response.incomplete") return "incomplete";
  if (type === "response.failed") return "failed";
  return !status || status === "in_progress" || status === "queued" ? "completed" : status;
}
