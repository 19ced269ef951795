import type { OutputItem } from "../wire/schema.ts";
import { SentText } from "./sent-text.ts";
import { textOf } from "../wire/lenient.ts";

/** A tool call of an answer. One object for all that is told of it. */
export interface AnswerCall {
  /** Position among the calls of the answer, from 0 without gaps. */
  readonly index: number;
  readonly id: string;
  /** As the backend knows it. */
  readonly name: string;
  /** Takes free text as its input instead of arguments as JSON. */
  readonly isCustom: boolean;
}

interface Call extends AnswerCall {
  /** Arguments or input that came with the announcement; only needed when nothing else comes. */
  readonly announced: string;
  /** Arguments or input told so far. */
  readonly told: SentText;
  /** All of it is told: a delta that comes after is a repetition. */
  isWhole: boolean;
  isEnded: boolean;
}

/** Where the pieces of calls go. */
export interface CallSink {
  call(call: AnswerCall): void;
  callDelta(call: AnswerCall, text: string): void;
  callEnd(call: AnswerCall): void;
}

/** The calls of one answer: who was announced, what was told of each, what is still missing. */
export class AnswerCalls {
  readonly #sink: CallSink;
  readonly #bySlot = new Map<number, Call>();
  /** What came before its call was announced. */
  readonly #early = new Map<number, { text: string; isWhole: boolean }>();

  constructor(sink: CallSink) {
    this.#sink = sink;
  }

  /** A call begins, if it has not before. */
  announce(item: OutputItem, slot: number): Call {
    const known = this.#bySlot.get(slot);
    if (known) return known;
    const index = this.#bySlot.size;
    const call: Call = {
      index,
      id: item.call_id ?? item.id ?? `call_${index}`,
      name: item.name ?? "",
      isCustom: item.type === "custom_tool_call",
      announced: wholeOf(item),
      told: new SentText(),
      isWhole: false,
      isEnded: false,
    };
    this.#bySlot.set(slot, call);
    this.#sink.call(call);
    const early = this.#early.get(slot);
    this.#early.delete(slot);
    if (early) {
      this.#tell(call, early.text);
      call.isWhole = early.isWhole;
    }
    return call;
  }

  /** More of a call's arguments or input. */
  delta(slot: number, text: string): void {
    const call = this.#bySlot.get(slot);
    const early = this.#early.get(slot);
    if (call) {
      if (!call.isWhole) this.#tell(call, text);
    } else if (!early?.isWhole) this.#early.set(slot, { text: (early?.text ?? "") + text, isWhole: false });
  }

  /** The whole arguments or input as upstream has them: tells what is missing. */
  settle(slot: number, whole: string): void {
    const call = this.#bySlot.get(slot);
    if (call) this.#rest(call, whole);
    else if (whole !== "") this.#early.set(slot, { text: whole, isWhole: true });
  }

  /** A call is complete, announced or not. */
  finish(item: OutputItem, slot: number): AnswerCall {
    const call = this.announce(item, slot);
    if (!call.isEnded) {
      this.#rest(call, wholeOf(item));
      this.#end(call);
    }
    return call;
  }

  /** All that there will be of a call, which is not the whole of it. */
  cut(item: OutputItem, slot: number): void {
    this.#rest(this.announce(item, slot), wholeOf(item));
  }

  /** The answer ends well: calls that nobody finished get what was announced, or at least what can be parsed. */
  close(): AnswerCall[] {
    const open = [...this.#bySlot.values()].filter((call) => !call.isEnded);
    for (const call of open) {
      this.#rest(call, call.announced);
      this.#end(call);
    }
    return open;
  }

  #end(call: Call): void {
    // Clients parse arguments as JSON, which an empty string is not.
    if (call.told.length === 0 && !call.isCustom) this.#tell(call, "{}");
    call.isEnded = true;
    this.#sink.callEnd(call);
  }

  #rest(call: Call, whole: string): void {
    const rest = whole === "" ? undefined : call.told.restOf(whole);
    if (rest === undefined) return;
    this.#tell(call, rest);
    call.isWhole = true;
  }

  #tell(call: Call, text: string): void {
    if (text === "" || call.isEnded) return;
    call.told.add(text);
    this.#sink.callDelta(call, text);
  }
}

function wholeOf(item: OutputItem): string {
  return textOf(item.type === "custom_tool_call" ? item.input : item.arguments);
}
