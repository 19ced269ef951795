import type { RelayError } from "../../lib/errors.ts";
import type { DeltaRun, WireEvent } from "../wire/event.ts";
import { failureOf, truncated } from "../wire/failure.ts";
import { objectsOf, responseOf, shortReason } from "../wire/lenient.ts";
import type { InputItem } from "../wire/request.ts";
import type { Annotation, CodexEvent, OutputItem, ResponseObject } from "../wire/schema.ts";
import type { AnswerCall, AnswerEnd, AnswerEvent, AnswerOptions, AnswerPart } from "./events.ts";
import { cutOf, Normalizer } from "./normalize.ts";
import { partKey, type PartList } from "./parts.ts";
import { StopScanner } from "./stop.ts";
import { estimatedTokens, estimatedUsage } from "./usage.ts";

/** What a delta's text is to the client. */
type Channel = "text" | "refusal" | "reasoning" | "comment";

/** An item whose pieces come in. */
interface Item {
  readonly parts: Map<string, AnswerPart>;
  /** Of a message: part of the answer, or a comment on the way to it. */
  phase: "unknown" | "final" | "comment";
  call: AnswerCall | undefined;
}

/**
 * Upstream events → answer events, for every dialect that rebuilds the answer. Streamed and whole replies are made of the
 * same ones, so that the two can never disagree.
 */
export class AnswerReader {
  isDone = false;
  readonly #emit: (event: AnswerEvent) => void;
  readonly #options: AnswerOptions;
  readonly #stop: StopScanner;
  readonly #normalizer: Normalizer;
  readonly #items = new Map<number, Item>();
  /** Of the last delta, to which nearly every next one belongs. */
  #run: DeltaRun | undefined;
  #runPart: AnswerPart | undefined;
  #runChannel: Channel = "text";
  /** What waits for the phase of the message that it is of. */
  #held: { readonly index: number; readonly deliveries: (() => void)[] } | undefined;
  #isReleasing = false;
  /** A message's phase came with its end. */
  #arePhasesLate = false;
  /** Reasoning that the next tool call will be remembered with. */
  #pendingReasoning: InputItem[] = [];
  #calls = 0;
  /** Of the text sent. In UTF-16 units. */
  #characters = 0;
  /** Text of messages on the way to the answer, as long as there is nothing else that could be it. */
  #comments = "";
  #hasBegun = false;
  #textPart: AnswerPart | undefined;
  #reasoningPart: AnswerPart | undefined;

  constructor(options: AnswerOptions, emit: (event: AnswerEvent) => void) {
    this.#options = options;
    this.#emit = emit;
    this.#stop = new StopScanner(options.stopSequences);
    this.#normalizer = new Normalizer((wire) => this.#regular(wire), { keepsText: false, cut: cutOf(options) });
  }

  /** Throws RelayError when upstream reports a failure. */
  onEvent(wire: WireEvent): void {
    if (this.isDone) return;
    const failure = wire.isBulk ? undefined : failureOf(wire, this.#options.now);
    if (failure) {
      this.#endEarly(failure);
      return;
    }
    this.#normalizer.onEvent(wire);
    if (this.#stop.isHit) this.#stopped();
  }

  /** Upstream ended. Throws unless the answer was complete. */
  onEnd(): void {
    if (!this.isDone) this.#endEarly(truncated());
  }

  /** Throws unless a stop sequence in text that still waits for its phase ends the answer by itself, as in a stream. */
  #endEarly(failure: RelayError): void {
    this.#release();
    if (!this.#stop.isHit) throw failure;
    this.#stopped();
  }

  #stopped(): void {
    if (this.isDone) return;
    this.#end("stop", { usage: estimatedUsage(this.#options.inputTokens, estimatedTokens(this.#characters)) });
  }

  #regular(wire: WireEvent): void {
    if (this.#stop.isHit) return;
    if (wire.run !== undefined && wire.run === this.#run && this.#runPart) {
      this.#deliver(this.#runChannel, this.#runPart, wire.delta);
      return;
    }
    this.#run = undefined;
    this.#read(wire, wire.event);
  }

  #read(wire: WireEvent, event: CodexEvent): void {
    if (this.#held && "output_index" in event && event.output_index !== this.#held.index) this.#release();
    switch (event.type) {
      case "response.created":
      case "response.in_progress":
      case "response.queued":
        this.#begin(responseOf(event));
        break;
      case "response.output_text.delta":
        this.#delta(wire, "text", this.#part(event, "content", event.content_index), event.delta);
        break;
      case "response.refusal.delta":
        this.#delta(wire, "refusal", this.#part(event, "content", event.content_index), event.delta);
        break;
      case "response.output_text.annotation.added":
        this.#annotation(this.#part(event, "content", event.content_index), event.annotation);
        break;
      case "response.reasoning_summary_text.delta":
        this.#delta(wire, "reasoning", this.#part(event, "summary", event.summary_index), event.delta);
        break;
      case "response.reasoning_summary_text.done":
        this.#endReasoning(this.#part(event, "summary", event.summary_index));
        break;
      case "response.reasoning_text.delta":
        this.#delta(wire, "reasoning", this.#part(event, "content", event.content_index), event.delta);
        break;
      case "response.reasoning_text.done":
        this.#endReasoning(this.#part(event, "content", event.content_index));
        break;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        this.#callDelta(event.output_index, event.delta);
        break;
      case "response.output_item.added":
        this.#itemAdded(event.item, event.output_index);
        break;
      case "response.output_item.done":
        this.#itemDone(event.item, event.output_index);
        break;
      case "response.completed":
      case "response.done":
      case "response.incomplete":
        this.#finish(event.type, responseOf(event));
        break;
      default:
      // Ends of parts, progress of hosted tools, private events, and whatever is newer than the relay.
    }
  }

  #begin(response: ResponseObject): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#emit({ type: "answerStart", response });
  }

  #delta(wire: WireEvent, channel: Channel, part: AnswerPart, text: string): void {
    if (channel !== "reasoning" && this.#mustWait(part)) {
      this.#hold(part, () => this.#deliver(this.#channel(channel, part), part, text));
      return;
    }
    this.#run = wire.run;
    this.#runPart = part;
    this.#runChannel = this.#channel(channel, part);
    this.#deliver(this.#runChannel, part, text);
  }

  #annotation(part: AnswerPart, annotation: Annotation): void {
    if (this.#mustWait(part)) return this.#hold(part, () => this.#annotation(part, annotation));
    if (this.#item(part.index).phase === "comment") return;
    this.#begin({});
    this.#emit({ type: "annotation", part, annotation });
  }

  /** True for a message that may turn out to be a comment. */
  #mustWait({ index }: AnswerPart): boolean {
    const isLate = this.#options.isWhole || this.#arePhasesLate;
    return isLate && !this.#isReleasing && this.#item(index).phase === "unknown";
  }

  #hold({ index }: AnswerPart, deliver: () => void): void {
    this.#begin({});
    this.#held ??= { index, deliveries: [] };
    this.#held.deliveries.push(deliver);
  }

  #channel(channel: Channel, { index }: AnswerPart): Channel {
    return channel === "text" && this.#item(index).phase === "comment" ? "comment" : channel;
  }

  /** Delivers what waited: as part of the answer if its phase is still unknown. */
  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    this.#isReleasing = true;
    for (const deliver of held?.deliveries ?? []) if (!this.#stop.isHit) deliver();
    this.#isReleasing = false;
  }

  #deliver(channel: Channel, part: AnswerPart, text: string): void {
    if (text === "") return;
    if (channel === "reasoning") this.#reasoning(part, text);
    else if (channel === "comment") this.#comment(part, text);
    else if (channel === "refusal") this.#refusal(part, text);
    else {
      this.#startText(part);
      this.#show(part, this.#stop.push(text));
    }
  }

  #comment(part: AnswerPart, text: string): void {
    if (!this.#textPart) this.#comments += text;
    this.#reasoning(part, text);
  }

  #refusal(part: AnswerPart, text: string): void {
    this.#startText(part);
    this.#flush();
    this.#emit({ type: "refusalDelta", part, text });
  }

  #startText(part: AnswerPart): void {
    this.#begin({});
    this.#endReasoning(this.#reasoningPart);
    if (this.#textPart === part) return;
    this.#flush();
    this.#comments = "";
    this.#textPart = part;
    this.#emit({ type: "textStart", part });
  }

  #show(part: AnswerPart, text: string): void {
    if (text === "") return;
    this.#characters += text.length;
    this.#emit({ type: "textDelta", part, text });
  }

  /** Sends what was held back for a stop sequence. */
  #flush(): void {
    if (this.#textPart) this.#show(this.#textPart, this.#stop.flush());
  }

  #reasoning(part: AnswerPart, text: string): void {
    this.#begin({});
    this.#flush();
    this.#reasoningPart = part;
    this.#emit({ type: "reasoningDelta", part, text });
  }

  #endReasoning(part: AnswerPart | undefined): void {
    if (!part || this.#reasoningPart !== part) return;
    this.#reasoningPart = undefined;
    this.#emit({ type: "reasoningEnd", part });
  }

  /** Something else than text or reasoning follows. */
  #interrupt(): void {
    this.#begin({});
    this.#flush();
    this.#endReasoning(this.#reasoningPart);
  }

  #item(index: number): Item {
    const known = this.#items.get(index);
    if (known) return known;
    const item: Item = { parts: new Map(), phase: "unknown", call: undefined };
    this.#items.set(index, item);
    return item;
  }

  #part(
    event: { output_index: number; item_id?: string | null | undefined },
    list: PartList,
    at: number | null | undefined,
  ) {
    const { parts } = this.#item(event.output_index);
    const position = at ?? 0;
    const key = partKey(list, position);
    const part = parts.get(key) ?? { index: event.output_index, id: event.item_id ?? "", position };
    parts.set(key, part);
    return part;
  }

  #itemAdded(item: OutputItem, index: number): void {
    if (item.type === "message") this.#item(index).phase = phaseOf(item);
    if (item.type !== "function_call" && item.type !== "custom_tool_call") return;
    const call = {
      index: this.#calls,
      id: item.call_id || item.id || `call_${this.#calls}`,
      name: item.name ?? "",
      isCustom: item.type === "custom_tool_call",
    };
    this.#calls += 1;
    this.#item(index).call = call;
    this.#interrupt();
    this.#emit({ type: "toolCallStart", call });
  }

  #callDelta(index: number, text: string): void {
    const { call } = this.#item(index);
    if (call && text !== "") this.#emit({ type: "toolCallDelta", call, text });
  }

  #itemDone(item: OutputItem, index: number): void {
    switch (item.type) {
      case "message":
        this.#messageDone(item, index);
        break;
      case "reasoning":
        this.#encrypted(item, index);
        break;
      case "function_call":
      case "custom_tool_call":
        this.#callEnd(index);
        break;
      default:
        // Hosted calls are upstream's own business, never the client's tool calls.
        this.#interrupt();
        this.#emit({ type: "hostedToolEnd", index, item });
    }
  }

  #messageDone(message: OutputItem, index: number): void {
    const item = this.#item(index);
    if (item.phase === "unknown") {
      item.phase = phaseOf(message);
      this.#arePhasesLate ||= item.phase !== "unknown";
    }
    this.#release();
  }

  #callEnd(index: number): void {
    const { call } = this.#item(index);
    if (!call) return;
    this.#emit({ type: "toolCallEnd", call });
    if (this.#pendingReasoning.length > 0) this.#options.memory.remember(call.id, this.#pendingReasoning);
    this.#pendingReasoning = [];
  }

  #encrypted({ id, summary, encrypted_content: content }: OutputItem, index: number): void {
    if (!content) return this.#endReasoning(this.#reasoningPart);
    this.#interrupt();
    this.#emit({ type: "encryptedReasoning", index, id: id ?? "", content });
    this.#pendingReasoning.push({ type: "reasoning", summary: objectsOf(summary), encrypted_content: content });
  }

  #finish(type: string, response: ResponseObject): void {
    this.#begin(response);
    this.#release();
    if (this.#stop.isHit) return;
    // An answer of nothing but comments has no other text.
    if (this.#comments !== "" && this.#calls === 0 && this.#reasoningPart)
      this.#deliver("text", this.#reasoningPart, this.#comments);
    this.#end(shortReason(type, response) ?? "stop", response);
  }

  #end(reason: AnswerEnd["reason"], { usage, service_tier: serviceTier }: ResponseObject): void {
    this.#interrupt();
    this.isDone = true;
    this.#emit({
      type: "finish",
      reason,
      stopSequence: this.#stop.found,
      usage: usage ?? undefined,
      serviceTier: serviceTier ?? undefined,
    });
  }
}

/** A message of another phase than the last (`commentary`, `analysis`) is said on the way to the answer. */
function phaseOf({ phase }: OutputItem): Item["phase"] {
  if (!phase) return "unknown";
  return phase === "final_answer" ? "final" : "comment";
}
