import type { CodexEvent, ContentPart, OutputItem, ResponseObject } from "../wire/schema.ts";
import { isCall } from "../wire/lenient.ts";
import { isTerminal, type WireEvent } from "../wire/event.ts";

/** What an event says about its item. */
interface ItemKey {
  readonly output_index: number;
  readonly item_id?: string | null | undefined;
}

/**
 * Folds events into the final response. The backend's terminal event carries `output: []`, so the items come from
 * their own `done` events; an item that never got one is rebuilt from its pieces.
 */
export class ResponseAssembler {
  readonly #done = new Map<number, OutputItem>();
  readonly #open = new Map<number, OutputItem>();
  #first: ResponseObject = {};
  #last: ResponseObject | undefined;

  /** True once a terminal event has come. */
  get isComplete(): boolean {
    return this.#last !== undefined;
  }

  onEvent(wire: WireEvent): void {
    const { event } = wire;
    if (isTerminal(wire.type)) {
      if (!("response" in event)) return;
      const response = event.response as ResponseObject;
      this.#last = { ...response, status: endStatus(wire.type, response.status) };
      return;
    }
    switch (event.type) {
      case "response.created":
        this.#first = event.response;
        break;
      case "response.output_item.added":
        // What came before its announcement has begun the item already.
        this.#open.set(event.output_index, { ...structuredClone(event.item), ...this.#grown(event.output_index) });
        break;
      case "response.output_item.done":
        this.#done.set(event.output_index, event.item);
        this.#open.delete(event.output_index);
        break;
      default:
        this.#grow(event);
    }
  }

  /** The whole response, its `output` complete and its status an end. Undefined before a terminal event. */
  toResponse(): ResponseObject | undefined {
    if (!this.#last) return undefined;
    return { ...this.#first, ...this.#last, output: this.#output(this.#last) };
  }

  #output({ output, status }: ResponseObject): OutputItem[] {
    const sent = output ?? [];
    const ended = status === "incomplete" ? "incomplete" : "completed";
    const byIndex = new Map([...this.#open, ...this.#done]);
    if (sent.length === 0) {
      const items = [...byIndex].toSorted(([a], [b]) => a - b).map(([, item]) => item);
      return items.filter(isUsable).map((item) => finished(item, ended));
    }
    return sent.map((item, index) => {
      const seen = byIndex.get(index);
      return finished(item.id || !seen?.id || seen.type !== item.type ? item : { ...item, id: seen.id }, ended);
    });
  }

  /** A piece of an item that has no `done` event yet, or all of such a piece. */
  #grow(event: CodexEvent): void {
    switch (event.type) {
      case "response.output_text.delta":
        this.#part(event, "output_text", event.content_index).text += event.delta;
        break;
      case "response.output_text.done":
        this.#part(event, "output_text", event.content_index).text = event.text;
        break;
      case "response.refusal.delta": {
        const part = this.#part(event, "refusal", event.content_index);
        part.refusal = (part.refusal ?? "") + event.delta;
        break;
      }
      case "response.refusal.done":
        this.#part(event, "refusal", event.content_index).refusal = event.refusal;
        break;
      case "response.content_part.done":
        Object.assign(this.#part(event, event.part.type, event.content_index), event.part);
        break;
      case "response.output_text.annotation.added":
        (this.#part(event, "output_text", event.content_index).annotations ??= []).push(event.annotation);
        break;
      case "response.function_call_arguments.delta": {
        const item = this.#item(event, "function_call");
        item.arguments = (item.arguments ?? "") + event.delta;
        break;
      }
      case "response.function_call_arguments.done":
        this.#item(event, "function_call").arguments = event.arguments;
        break;
      case "response.custom_tool_call_input.delta": {
        const item = this.#item(event, "custom_tool_call");
        item.input = (item.input ?? "") + event.delta;
        break;
      }
      case "response.custom_tool_call_input.done":
        this.#item(event, "custom_tool_call").input = event.input;
        break;
      case "response.reasoning_text.delta":
        this.#part(event, "reasoning_text", event.content_index).text += event.delta;
        break;
      case "response.reasoning_text.done":
        this.#part(event, "reasoning_text", event.content_index).text = event.text;
        break;
      case "response.reasoning_summary_text.delta":
        this.#summary(event).text += event.delta;
        break;
      case "response.reasoning_summary_text.done":
        this.#summary(event).text = event.text;
        break;
      default:
    }
  }

  /** What pieces have made of an item so far. */
  #grown(index: number): Partial<OutputItem> {
    const item = this.#open.get(index);
    const grown = (["content", "arguments", "input", "summary"] as const).flatMap((key) =>
      item?.[key] ? [[key, item[key]] as const] : [],
    );
    return Object.fromEntries(grown);
  }

  /** The growing item; one that was never announced is begun here. */
  #item(event: ItemKey, type: string): OutputItem {
    const { output_index: index, item_id: id } = event;
    const open = this.#open.get(index);
    if (open) return open;
    const item: OutputItem =
      type === "message"
        ? { type, id: id ?? `msg_${index}`, role: "assistant", status: "in_progress" }
        : { type, id: id ?? `${type}_${index}`, ...(type === "reasoning" ? { summary: [] } : {}) };
    // What follows an item's own done event belongs to a finished item: the scratch item goes nowhere.
    if (!this.#done.has(index)) this.#open.set(index, item);
    return item;
  }

  #part(event: ItemKey, type: string, at: number | null | undefined): ContentPart & { text: string } {
    const item = this.#item(event, type === "reasoning_text" ? "reasoning" : "message");
    const content = (item.content ??= []);
    const index = Math.min(at ?? 0, content.length);
    const part = (content[index] ??= type === "refusal" ? { type, refusal: "" } : { type, text: "" });
    part.text ??= "";
    return part as ContentPart & { text: string };
  }

  #summary(event: ItemKey & { summary_index?: number | null | undefined }): { type: string; text: string } {
    const item = this.#item(event, "reasoning");
    const summary = (item.summary ??= []);
    const index = Math.min(event.summary_index ?? 0, summary.length);
    return (summary[index] ??= { type: "summary_text", text: "" });
  }
}

/** Adds an event to the fold; one that is mangled is left out. */
export function foldQuietly(accumulator: ResponseAssembler, wire: WireEvent): void {
  try {
    accumulator.onEvent(wire);
  } catch {
    // Its item's `done` event, or the end, says the same again.
  }
}

/** The status of a reply that has ended. Upstream may leave it out, or repeat that of the beginning. */
function endStatus(type: string, status: string | null | undefined): string {
  if (type === "response.incomplete") return "incomplete";
  if (type === "response.failed") return "failed";
  return !status || status === "in_progress" || status === "queued" ? "completed" : status;
}

/** A call that nobody can answer is none: its name and its id never came. */
function isUsable(item: OutputItem): boolean {
  return !isCall(item) || Boolean(item.call_id);
}

/** Message parts need `annotations`, which native SDKs iterate without asking. */
function finished(item: OutputItem, ended: "completed" | "incomplete"): OutputItem {
  const isOpen = item.status === "in_progress";
  if (item.type !== "message") return isOpen && isCall(item) ? { ...item, status: ended } : item;
  const content = (item.content ?? []).map((part) => {
    if (part.type === "output_text") return { ...part, text: part.text ?? "", annotations: part.annotations ?? [] };
    if (part.type !== "refusal") return part;
    const { text: _scratch, ...refusal } = part;
    return refusal;
  });
  return { ...item, role: item.role ?? "assistant", status: isOpen || !item.status ? ended : item.status, content };
}
