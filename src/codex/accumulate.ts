import type { ContentPart, OutputItem, ResponseObject } from "./schema.ts";
import { isTerminal, type WireEvent } from "./wire-event.ts";

/**
 * Folds events into the final response. The backend's terminal event carries `output: []`, so the items come from
 * their own `done` events; text that never got one is rebuilt from its deltas.
 */
export class ResponseAccumulator {
  readonly #done = new Map<number, OutputItem>();
  readonly #open = new Map<number, OutputItem>();
  #first: ResponseObject = {};
  #last: ResponseObject | undefined;

  /** True once a terminal event has come. */
  get isComplete(): boolean {
    return this.#last !== undefined;
  }

  /** `created_at`, id and model as first announced; empty before `response.created`. */
  get announced(): ResponseObject {
    return this.#first;
  }

  onEvent(wire: WireEvent): void {
    if (isTerminal(wire.type)) {
      const { event } = wire;
      if ("response" in event) this.#last = event.response as ResponseObject;
      return;
    }
    const { event } = wire;
    switch (event.type) {
      case "response.created":
        this.#first = event.response;
        break;
      case "response.output_item.added":
        // Deltas that came before their announcement have begun the item already.
        if (!this.#open.has(event.output_index)) this.#open.set(event.output_index, structuredClone(event.item));
        break;
      case "response.output_item.done":
        this.#done.set(event.output_index, event.item);
        this.#open.delete(event.output_index);
        break;
      case "response.output_text.delta":
        this.#part(event.output_index, event.content_index, event.item_id, "output_text").text += event.delta;
        break;
      case "response.output_text.done":
        this.#part(event.output_index, event.content_index, event.item_id, "output_text").text = event.text;
        break;
      case "response.refusal.delta": {
        const part = this.#part(event.output_index, event.content_index, event.item_id, "refusal");
        part.refusal = (part.refusal ?? "") + event.delta;
        break;
      }
      default:
    }
  }

  /** The whole response, its `output` complete. Undefined before a terminal event. */
  toResponse(): ResponseObject | undefined {
    if (!this.#last) return undefined;
    return { ...this.#first, ...this.#last, output: this.#output(this.#last.output ?? []) };
  }

  #output(sent: readonly OutputItem[]): OutputItem[] {
    const byIndex = new Map([...this.#open, ...this.#done]);
    if (sent.length === 0) return [...byIndex].toSorted(([a], [b]) => a - b).map(([, item]) => finished(item));
    return sent.map((item, index) => {
      const seen = byIndex.get(index);
      return finished(item.id || !seen?.id || seen.type !== item.type ? item : { ...item, id: seen.id });
    });
  }

  /** The growing part of a message that has no `done` event yet. */
  #part(
    outputIndex: number,
    contentIndex: number | null | undefined,
    itemId: string | null | undefined,
    type: string,
  ): ContentPart & { text: string } {
    let item = this.#open.get(outputIndex);
    if (!item) {
      item = { type: "message", id: itemId ?? `msg_${outputIndex}`, role: "assistant", status: "completed" };
      // A delta that follows its item's own done event belongs to a finished item: the scratch item goes nowhere.
      if (!this.#done.has(outputIndex)) this.#open.set(outputIndex, item);
    }
    const content = (item.content ??= []);
    const index = Math.min(contentIndex ?? 0, content.length);
    const part = (content[index] ??= type === "refusal" ? { type, refusal: "" } : { type, text: "", annotations: [] });
    part.text ??= "";
    return part as ContentPart & { text: string };
  }
}

/** Adds an event to the fold; one that is mangled is left out. */
export function foldQuietly(accumulator: ResponseAccumulator, wire: WireEvent): void {
  try {
    accumulator.onEvent(wire);
  } catch {
    // Its item's `done` event, or the end, says the same again.
  }
}

/** Message parts need `annotations`, which native SDKs iterate without asking. */
function finished(item: OutputItem): OutputItem {
  if (item.type !== "message") return item;
  const content = (item.content ?? []).map((part) => {
    if (part.type === "output_text") return { ...part, text: part.text ?? "", annotations: part.annotations ?? [] };
    if (part.type !== "refusal") return part;
    const { text: _scratch, ...refusal } = part;
    return refusal;
  });
  const status = item.status === "in_progress" || !item.status ? "completed" : item.status;
  return { ...item, role: item.role ?? "assistant", status, content };
}
