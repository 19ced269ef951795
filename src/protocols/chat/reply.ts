import { eventFailure, truncated } from "../../codex/failure.ts";
import type { Annotation, CodexEvent, ContentPart, InputItem, OutputItem, ResponseObject } from "../../codex/schema.ts";
import { isFailure, type WireEvent } from "../../codex/wire-event.ts";
import type { Context } from "../protocol.ts";
import { CommentFilter } from "./comment-filter.ts";
import type { ChatDelta, ChatEnd } from "./delta.ts";
import { toFinishReason } from "./finish-reason.ts";
import { wantsJson } from "./format.ts";
import { stopSequences } from "./request.ts";
import type { ChatRequest } from "./schema.ts";
import { StopScanner } from "./stop.ts";
import { ToolCalls, type CallKey } from "./tool-calls.ts";
import { renamedTools, usesLegacyFunctions } from "./tools.ts";
import { toChatUsage } from "./usage.ts";

/** Where the pieces of an answer go: into frames, or folded into one body. */
export interface ChatSink {
  /** First of all, once: whose answer this is. */
  begin(id: string, created: number): void;
  delta(delta: ChatDelta): void;
  end(end: ChatEnd): void;
}

/**
 * Upstream events → the deltas of one chat answer. The only state machine for streamed and whole replies alike, so
 * that the two can never disagree.
 */
export class ChatReply {
  isDone = false;
  readonly #sink: ChatSink;
  readonly #context: Context;
  readonly #isJson: boolean;
  readonly #stop: StopScanner;
  readonly #calls: ToolCalls;
  readonly #comments = new CommentFilter();
  /** Text, refusals and summaries sent so far, by item and part: what later `done` events repeat. */
  readonly #sent = new Map<string, string>();
  /** Items whose text is a comment on the way to the answer. */
  readonly #commentary = new Set<number>();
  readonly #citations = new Set<string>();
  readonly #images = new Set<string>();
  /** Reasoning that the next tool call will be remembered with. */
  #pendingReasoning: InputItem[] = [];
  #hasAnnounced = false;
  #hasBegun = false;
  #hasText = false;
  #textItem = -1;
  #reasoningPart = "";
  #isThinking = false;

  constructor(request: ChatRequest, context: Context, sink: ChatSink) {
    this.#sink = sink;
    this.#context = context;
    this.#isJson = wantsJson(request);
    this.#stop = new StopScanner(stopSequences(request));
    this.#calls = new ToolCalls(renamedTools(request), usesLegacyFunctions(request));
  }

  /** Throws RelayError when upstream reports a failure. */
  onEvent(wire: WireEvent): void {
    if (this.isDone) return;
    const event = parsed(wire);
    if (!event) return;
    if (isFailure(wire.type)) throw eventFailure(event, this.#context.now);
    switch (event.type) {
      case "response.created":
        this.#announce(event.response);
        break;
      case "response.output_text.delta":
        this.#text(event.output_index, partKey(event), event.delta);
        break;
      case "response.output_text.done":
        this.#restOfText(event.output_index, partKey(event), event.text);
        break;
      case "response.content_part.done":
        this.#part(event.output_index, event.content_index ?? 0, event.part);
        break;
      case "response.output_text.annotation.added":
        this.#citation(event.annotation);
        break;
      case "response.refusal.delta":
        this.#refusal(partKey(event), event.delta);
        break;
      case "response.refusal.done":
        this.#wholeRefusal(partKey(event), event.refusal);
        break;
      case "response.reasoning_summary_text.delta":
        this.#reasoning(`${event.output_index}/s${event.summary_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_summary_text.done":
        this.#restOfReasoning(`${event.output_index}/s${event.summary_index ?? 0}`, event.text);
        break;
      case "response.reasoning_text.delta":
        this.#reasoning(`${event.output_index}/t${event.content_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_text.done":
        this.#restOfReasoning(`${event.output_index}/t${event.content_index ?? 0}`, event.text);
        break;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        this.#send(this.#calls.delta(keyOf(event), event.delta));
        break;
      case "response.function_call_arguments.done":
        this.#send(this.#calls.settle(keyOf(event), event.arguments));
        break;
      case "response.custom_tool_call_input.done":
        this.#send(this.#calls.settle(keyOf(event), event.input));
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
        this.#finish(event.type, event.response);
        break;
      default:
      // Progress of hosted tools, private events, and whatever is newer than the relay.
    }
    if (this.#stop.isHit && !this.isDone) this.#end({ finishReason: "stop", usage: undefined, serviceTier: undefined });
  }

  /** Upstream ended. Throws unless the answer was complete. */
  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  #announce(response: ResponseObject): void {
    if (this.#hasAnnounced) return;
    this.#hasAnnounced = true;
    const id = response.id?.replace(/^resp_/, "") ?? this.#context.id;
    this.#sink.begin(`chatcmpl-${id}`, Math.floor(response.created_at ?? this.#context.now / 1000));
  }

  /** The role comes before everything else, once. `content: null` before a call, or SDKs see an empty text. */
  #role(content: "" | null): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#announce({});
    this.#sink.delta({ role: "assistant", content });
  }

  #text(item: number, key: string, text: string): void {
    if (text === "") return;
    this.#remember(key, text);
    // A parser gets the answer alone; the model's remarks on the way belong to its reasoning there.
    if (this.#isJson && this.#commentary.has(item)) {
      this.#showReasoning(`${item}/c`, text);
      return;
    }
    this.#role("");
    this.#closeThinking();
    if (this.#hasText && this.#textItem !== item && !this.#isJson) {
      this.#flushText();
      this.#sink.delta({ content: "\n\n" + this.#stop.push(text) });
    } else {
      const shown = this.#stop.push(text);
      if (shown !== "") this.#sink.delta({ content: shown });
    }
    this.#hasText = true;
    this.#textItem = item;
  }

  #restOfText(item: number, key: string, whole: string): void {
    this.#text(item, key, this.#unsent(key, whole));
  }

  #flushText(): void {
    const held = this.#stop.flush();
    if (held !== "") this.#sink.delta({ content: held });
  }

  #refusal(key: string, text: string): void {
    if (text === "") return;
    this.#remember(key, text);
    this.#role("");
    this.#sink.delta({ refusal: text });
  }

  #wholeRefusal(key: string, whole: string): void {
    if (!this.#sent.has(key)) this.#refusal(key, whole);
  }

  #reasoning(key: string, text: string): void {
    this.#remember(key, text);
    this.#showReasoning(key, text);
  }

  #restOfReasoning(key: string, whole: string): void {
    const rest = this.#unsent(key, whole);
    if (rest !== "") this.#reasoning(key, rest);
    this.#endReasoningPart();
  }

  #showReasoning(part: string, text: string): void {
    const { reasoning: mode } = this.#context;
    if (mode === "none" || text === "") return;
    if (this.#reasoningPart !== part) this.#endReasoningPart();
    const shown = this.#comments.push(text);
    if (shown === "") return;
    const separator = this.#reasoningPart !== "" && this.#reasoningPart !== part ? "\n\n" : "";
    this.#reasoningPart = part;
    this.#emitReasoning(separator + shown);
  }

  #endReasoningPart(): void {
    const held = this.#comments.flush();
    if (held !== "") this.#emitReasoning(held);
  }

  #emitReasoning(text: string): void {
    const { reasoning: mode } = this.#context;
    if (mode === "think-tags") {
      this.#role("");
      this.#sink.delta({ content: this.#isThinking ? text : `<think>${text}` });
      this.#isThinking = true;
      return;
    }
    this.#role(null);
    if (mode === "both") this.#sink.delta({ reasoning_content: text, reasoning: text });
    else if (mode === "reasoning_content") this.#sink.delta({ reasoning_content: text });
    else this.#sink.delta({ reasoning: text });
  }

  #closeThinking(): void {
    if (!this.#isThinking) return;
    this.#isThinking = false;
    this.#endReasoningPart();
    this.#isThinking = false;
    this.#sink.delta({ content: "</think>" });
  }

  #send(deltas: readonly ChatDelta[]): void {
    if (deltas.length === 0) return;
    this.#flushText();
    this.#role(null);
    this.#closeThinking();
    for (const delta of deltas) this.#sink.delta(delta);
  }

  #itemAdded(item: OutputItem, index: number): void {
    if (item.type === "message" && item.phase === "commentary") this.#commentary.add(index);
    if (isCall(item)) this.#send(this.#calls.announce(item, index));
  }

  #itemDone(item: OutputItem, index: number): void {
    switch (item.type) {
      case "message":
        if (item.phase === "commentary") this.#commentary.add(index);
        (item.content ?? []).forEach((part, position) => this.#part(index, position, part));
        break;
      case "reasoning":
        this.#reasoningDone(item, index);
        break;
      case "function_call":
      case "custom_tool_call":
        this.#send(this.#calls.finish(item, index));
        this.#rememberReasoning(item.call_id);
        break;
      case "image_generation_call":
        this.#image(item, index);
        break;
      default:
      // Hosted calls are upstream's own business, never the client's tool calls.
    }
  }

  /** A finished part: whatever of it has not been sent yet. */
  #part(item: number, position: number, part: ContentPart): void {
    const key = `${item}/${position}`;
    if (part.type === "refusal") this.#wholeRefusal(key, part.refusal ?? "");
    if (part.type !== "output_text") return;
    this.#restOfText(item, key, part.text ?? "");
    for (const annotation of part.annotations ?? []) this.#citation(annotation);
  }

  #reasoningDone(item: OutputItem, index: number): void {
    (item.summary ?? []).forEach((part, position) => this.#restOfReasoning(`${index}/s${position}`, part.text));
    this.#endReasoningPart();
    if (!item.encrypted_content) return;
    this.#pendingReasoning.push({
      type: "reasoning",
      summary: item.summary ?? [],
      encrypted_content: item.encrypted_content,
    });
  }

  #rememberReasoning(callId: string | null | undefined): void {
    if (this.#pendingReasoning.length === 0 || !callId) return;
    this.#context.memory.remember(callId, this.#pendingReasoning);
    this.#pendingReasoning = [];
  }

  #citation(annotation: Annotation): void {
    if (annotation.type !== "url_citation" || !annotation.url) return;
    const citation = {
      start_index: annotation.start_index ?? 0,
      end_index: annotation.end_index ?? 0,
      url: annotation.url,
      title: annotation.title ?? annotation.url,
    };
    const key = JSON.stringify(citation);
    if (this.#citations.has(key)) return;
    this.#citations.add(key);
    this.#role("");
    this.#flushText();
    this.#sink.delta({ annotations: [{ type: "url_citation", url_citation: citation }] });
  }

  #image(item: OutputItem, index: number): void {
    const key = item.id ?? String(index);
    if (!item.result || this.#images.has(key)) return;
    this.#flushText();
    this.#role(null);
    this.#closeThinking();
    const url = `data:image/${item.output_format ?? "png"};base64,${item.result}`;
    this.#sink.delta({ images: [{ index: this.#images.size, type: "image_url", image_url: { url } }] });
    this.#images.add(key);
  }

  #finish(type: string, response: ResponseObject): void {
    this.#announce(response);
    (response.output ?? []).forEach((item, index) => this.#itemDone(item, index));
    if (this.#stop.isHit) return;
    this.#flushText();
    this.#endReasoningPart();
    this.#send(this.#calls.close());
    this.#closeThinking();
    this.#end({
      finishReason: toFinishReason(type, response, this.#calls),
      usage: toChatUsage(response.usage),
      serviceTier: response.service_tier ?? undefined,
    });
  }

  #end(end: ChatEnd): void {
    this.#role("");
    this.isDone = true;
    this.#sink.end(end);
  }

  #remember(key: string, text: string): void {
    this.#sent.set(key, (this.#sent.get(key) ?? "") + text);
  }

  /** The part of `whole` that deltas have not brought; nothing when they brought something else. */
  #unsent(key: string, whole: string): string {
    const sent = this.#sent.get(key) ?? "";
    return whole.startsWith(sent) ? whole.slice(sent.length) : "";
  }
}

function isCall(item: OutputItem): boolean {
  return item.type === "function_call" || item.type === "custom_tool_call";
}

function partKey(event: { output_index: number; content_index?: number | null | undefined }): string {
  return `${event.output_index}/${event.content_index ?? 0}`;
}

function keyOf(event: { output_index?: number; item_id?: string | null | undefined }): CallKey {
  return { output_index: event.output_index, item_id: event.item_id };
}

/** Undefined for a delta whose JSON is broken: one lost delta is mended by its `done` event. */
function parsed(wire: WireEvent): CodexEvent | undefined {
  try {
    return wire.event;
  } catch {
    return undefined;
  }
}
