import type { OutputItem } from "../../codex/schema.ts";
import { textOf } from "../../codex/trusted.ts";
import { DIRECT, type Block, type BlockQueue, type StartedBlock } from "./blocks.ts";
import { toToolUseId } from "./tool-ids.ts";

interface Call {
  readonly block: Block;
  /** Arguments that came with the announcement; only needed when nothing else comes. */
  readonly announced: string;
  sent: string;
  isFinished: boolean;
}

/** The tool uses of one answer: who was announced, what was sent of each, what is still missing. */
export class ToolUses {
  readonly #originalNames: ReadonlyMap<string, string>;
  readonly #queue: BlockQueue;
  readonly #open: (block: StartedBlock) => Block;
  readonly #bySlot = new Map<number, Call>();
  /** Deltas that came before their call was announced. */
  readonly #early = new Map<number, string>();

  constructor(originalNames: ReadonlyMap<string, string>, queue: BlockQueue, open: (block: StartedBlock) => Block) {
    this.#originalNames = originalNames;
    this.#queue = queue;
    this.#open = open;
  }

  get any(): boolean {
    return this.#bySlot.size > 0;
  }

  /** A call begins. Nothing when it has begun before. */
  announce(item: OutputItem, slot: number): Call {
    const known = this.#bySlot.get(slot);
    if (known) return known;
    const id = toToolUseId(item.call_id ?? item.id ?? `call_${this.#bySlot.size}`);
    const name = this.#originalNames.get(item.name ?? "") ?? item.name ?? "";
    const block = this.#open({ type: "tool_use", id, name, input: {}, caller: DIRECT });
    const call: Call = { block, announced: textOf(item.arguments), sent: "", isFinished: false };
    this.#bySlot.set(slot, call);
    this.#send(call, this.#early.get(slot) ?? "");
    this.#early.delete(slot);
    return call;
  }

  /** More of a call's arguments. */
  delta(slot: number, text: string): void {
    const call = this.#bySlot.get(slot);
    if (call) this.#send(call, text);
    else this.#early.set(slot, (this.#early.get(slot) ?? "") + text);
  }

  /** The whole arguments as upstream has them: sends what is missing. */
  settle(slot: number, whole: string): void {
    const call = this.#bySlot.get(slot);
    if (call) this.#rest(call, whole);
  }

  /** A call is complete, announced or not. */
  finish(item: OutputItem, slot: number): void {
    const call = this.announce(item, slot);
    if (call.isFinished) return;
    this.#rest(call, textOf(item.arguments));
    this.#end(call);
  }

  /** The answer ends well: calls that nobody finished get what was announced, or at least what can be parsed. */
  close(): void {
    for (const call of this.#bySlot.values()) {
      if (call.isFinished) continue;
      this.#rest(call, call.announced);
      this.#end(call);
    }
  }

  #end(call: Call): void {
    // Clients parse the pieces as JSON, which no pieces at all are not.
    if (call.sent === "") this.#send(call, "{}");
    call.isFinished = true;
    this.#queue.end(call.block);
  }

  #rest(call: Call, whole: string): void {
    if (whole.startsWith(call.sent)) this.#send(call, whole.slice(call.sent.length));
  }

  #send(call: Call, text: string): void {
    if (text === "" || call.isFinished) return;
    call.sent += text;
    this.#queue.delta(call.block, { type: "input_json_delta", partial_json: text });
  }
}
