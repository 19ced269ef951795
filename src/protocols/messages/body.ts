import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerOptions } from "../../codex/output/events.ts";
import { isObject, parseJson } from "../../lib/json.ts";
import { AnswerBody } from "../answer-reply.ts";
import type { Context } from "../protocol.ts";
import type { BlockDelta, StartedBlock } from "./blocks.ts";
import { messageOf } from "./message.ts";
import { messageReader, type AskedMessage, type MessageEnd, type MessageEvent } from "./reply.ts";

/** A whole message: the fold of the very pieces that a stream would have sent. */
export class MessageBody extends AnswerBody {
  protected readonly reader: AnswerReader;
  readonly #model: string;
  readonly #content: StartedBlock[] = [];
  #id = "";
  /** Input of the tool use that is open, as JSON text. */
  #json = "";
  #end: MessageEnd | undefined;

  constructor(asked: AskedMessage, context: Context, options: AnswerOptions) {
    super();
    this.#model = asked.model;
    this.reader = messageReader(asked, context, options, (event) => this.#event(event)).reader;
  }

  protected body(): unknown {
    return messageOf(this.#id, this.#model, this.#content, this.#end);
  }

  #event(event: MessageEvent): void {
    switch (event.type) {
      case "start":
        this.#id = event.id;
        break;
      case "content_block_start":
        this.#json = "";
        this.#content.push({ ...event.content_block });
        break;
      case "content_block_delta":
        this.#grow(event.delta);
        break;
      case "content_block_stop":
        this.#close();
        break;
      case "end":
        this.#end = event.end;
    }
  }

  #grow(delta: BlockDelta): void {
    const block = this.#content.at(-1);
    switch (delta.type) {
      case "text_delta":
        if (block?.type === "text") block.text += delta.text;
        break;
      case "citations_delta":
        if (block?.type === "text") block.citations = [...(block.citations ?? []), delta.citation];
        break;
      case "thinking_delta":
        if (block?.type === "thinking") block.thinking += delta.thinking;
        break;
      case "signature_delta":
        if (block?.type === "thinking") block.signature += delta.signature;
        break;
      case "input_json_delta":
        this.#json += delta.partial_json;
        break;
      default:
    }
  }

  #close(): void {
    const block = this.#content.at(-1);
    if (block?.type === "tool_use" || block?.type === "server_tool_use") block.input = inputOf(this.#json);
  }
}

/** A model may write what no parser takes, or be cut short; it must not look like an empty input that can be run. */
function inputOf(json: string): unknown {
  if (json === "") return {};
  const input = parseJson(json);
  return isObject(input) ? input : { INVALID_JSON: json };
}
