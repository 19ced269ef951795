import { foldQuietly, ResponseAssembler } from "../../codex/output/assemble.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import { isTerminal, type WireEvent } from "../../codex/wire/event.ts";
import type { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { eventFrame } from "../../lib/sse.ts";
import type { ClientStream, Context } from "../protocol.ts";
import { imageUsage, looksOf, picturesOf } from "./picture.ts";
import type { ImageRequest } from "./schema.ts";

/** A picture as it comes into being: up to three unfinished ones, then the whole with its usage. */
export class ImageStream implements ClientStream {
  isDone = false;
  readonly #request: ImageRequest;
  readonly #family: string;
  readonly #createdAt: number;
  readonly #now: number;
  readonly #accumulator = new ResponseAssembler();

  constructor(request: ImageRequest, context: Context) {
    this.#request = request;
    this.#family = request.isEdit ? "image_edit" : "image_generation";
    this.#now = context.now;
    this.#createdAt = Math.floor(context.now / 1000);
  }

  onEvent(wire: WireEvent): string {
    const failure = failureOf(wire, this.#now);
    if (failure) throw failure;
    if (wire.type === "response.image_generation_call.partial_image") return this.#partial(wire);
    foldQuietly(this.#accumulator, wire);
    return isTerminal(wire.type) ? this.#completed() : "";
  }

  onEnd(): string {
    if (!this.isDone) throw truncated();
    return "";
  }

  onFailure(error: RelayError): string {
    this.isDone = true;
    return eventFrame("error", JSON.stringify({ type: "error", ...openaiError(error) }));
  }

  #partial({ event }: WireEvent): string {
    const made: unknown = event;
    if (!isObject(made) || typeof made["partial_image_b64"] !== "string") return "";
    const { partial_image_b64: image, partial_image_index: index } = made;
    return this.#frame("partial_image", image, looksOf(made, this.#request), { partial_image_index: index ?? 0 });
  }

  #completed(): string {
    const response = this.#accumulator.toResponse();
    if (!response) throw truncated();
    const [picture] = picturesOf(response);
    if (!picture) return "";
    this.isDone = true;
    const usage = imageUsage(response, this.#request);
    return this.#frame("completed", picture.result, looksOf(picture, this.#request), usage ? { usage } : {});
  }

  #frame(kind: string, image: string, looks: JsonObject, more: JsonObject): string {
    const type = `${this.#family}.${kind}`;
    return eventFrame(type, JSON.stringify({ type, b64_json: image, created_at: this.#createdAt, ...looks, ...more }));
  }
}
