import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerOptions } from "../../codex/output/events.ts";
import { AnswerBody } from "../answer-reply.ts";
import type { Context } from "../protocol.ts";
import { toChatUsage } from "../usage.ts";
import type { ChatDelta, ChatEnd, ImageDelta, ToolCallDelta, UrlCitation } from "./delta.ts";
import { chatReader, type ChatEvent } from "./reply.ts";
import type { ChatRequest } from "./schema.ts";

/** A whole answer: the fold of the very deltas that a stream would have sent. */
export class ChatBody extends AnswerBody {
  protected readonly reader: AnswerReader;
  readonly #model: string;
  #id = "";
  #created = 0;
  #content = "";
  #hasContent = false;
  #refusal: string | null = null;
  #reasoningContent = "";
  #reasoning = "";
  #functionCall: { name: string; arguments: string } | undefined;
  readonly #calls: ToolCallDelta[] = [];
  readonly #annotations: UrlCitation[] = [];
  readonly #images: ImageDelta[] = [];
  #end: ChatEnd | undefined;

  constructor(request: ChatRequest, context: Context, options: AnswerOptions) {
    super();
    this.#model = request.model;
    this.reader = chatReader(request, context, options, (event) => this.#event(event));
  }

  protected body(): unknown {
    return {
      id: this.#id,
      object: "chat.completion",
      created: this.#created,
      model: this.#model,
      choices: [
        { index: 0, message: this.#message(), logprobs: null, finish_reason: this.#end?.finishReason ?? "stop" },
      ],
      usage: this.#end?.usage ?? toChatUsage(undefined),
      service_tier: this.#end?.serviceTier,
    };
  }

  #event(event: ChatEvent): void {
    switch (event.type) {
      case "start":
        this.#id = event.id;
        this.#created = event.created;
        break;
      case "delta":
        this.#add(event.delta);
        break;
      case "end":
        this.#end = event;
    }
  }

  #add(delta: ChatDelta): void {
    if (typeof delta.content === "string" && delta.content !== "") {
      this.#content += delta.content;
      this.#hasContent = true;
    }
    if (delta.refusal !== undefined) this.#refusal = (this.#refusal ?? "") + delta.refusal;
    if (delta.reasoning_content !== undefined) this.#reasoningContent += delta.reasoning_content;
    if (delta.reasoning !== undefined) this.#reasoning += delta.reasoning;
    if (delta.annotations) this.#annotations.push(...delta.annotations);
    if (delta.images) this.#images.push(...delta.images);
    for (const call of delta.tool_calls ?? []) this.#call(call);
    if (delta.function_call) {
      const { name = "", arguments: text } = delta.function_call;
      this.#functionCall = {
        name: (this.#functionCall?.name ?? "") + name,
        arguments: (this.#functionCall?.arguments ?? "") + text,
      };
    }
  }

  #call(delta: ToolCallDelta): void {
    const call = this.#calls[delta.index];
    if (!call) {
      this.#calls[delta.index] = structuredClone(delta);
      return;
    }
    if (call.function && delta.function) call.function.arguments += delta.function.arguments;
    if (call.custom && delta.custom) call.custom.input += delta.custom.input;
  }

  #message() {
    const hasOther = this.#calls.length > 0 || this.#functionCall !== undefined || this.#refusal !== null;
    return {
      role: "assistant",
      content: this.#hasContent || !hasOther ? this.#content : null,
      refusal: this.#refusal,
      annotations: this.#annotations,
      // Absent rather than empty: clients take the mere presence of these keys for a call.
      ...(this.#calls.length > 0 ? { tool_calls: this.#calls.map(withoutIndex) } : {}),
      ...(this.#functionCall ? { function_call: this.#functionCall } : {}),
      ...(this.#reasoningContent === "" ? {} : { reasoning_content: this.#reasoningContent }),
      ...(this.#reasoning === "" ? {} : { reasoning: this.#reasoning }),
      ...(this.#images.length > 0 ? { images: this.#images } : {}),
    };
  }
}

function withoutIndex({ index: _index, ...call }: ToolCallDelta): Omit<ToolCallDelta, "index"> {
  return call;
}
