import { ResponseAssembler } from "../../codex/output/assemble.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import { isTerminal } from "../../codex/wire/event-types.ts";
import type { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { ClientStream, Context, Send } from "../protocol.ts";
import { errorFrame, frameOf } from "../responses-frames.ts";
import { imageUsage, looksOf, picturesOf } from "./picture.ts";
import type { ImageRequest } from "./schema.ts";

/** A picture as it comes into being: up to three unfinished ones, then the whole with its usage. */
export class ImageStream implements ClientStream {
  isDone = false;
  /** How the pictures were asked for. The request itself may hold others, of megabytes. */
  readonly #looks: JsonObject;
  readonly #hasImages: boolean;
  readonly #family: string;
  readonly #createdAt: number;
  readonly #now: number;
  readonly #accumulator = new ResponseAssembler();

  readonly #send: Send;
  /** Frames sent. */
  #count = 0;

  constructor(request: ImageRequest, context: Context, send: Send) {
    this.#send = send;
    this.#looks = looksOf(request.options);
    this.#hasImages = request.images.length > 0;
    this.#family = request.isEdit ? "image_edit" : "image_generation";
    this.#now = context.now;
    this.#createdAt = Math.floor(context.now / 1000);
  }

  onEvent(wire: WireEvent): void {
    const failure = failureOf(wire, this.#now);
    if (failure) throw failure;
    if (wire.type === "response.image_generation_call.partial_image") return this.#partial(wire);
    this.#accumulator.onEvent(wire);
    if (isTerminal(wire.type)) this.#completed();
  }

  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  onFailure(error: RelayError): void {
    this.isDone = true;
    this.#send(errorFrame(error, this.#count));
  }

  #partial({ event }: WireEvent): void {
    const made: unknown = event;
    if (!isObject(made) || typeof made["partial_image_b64"] !== "string") return;
    const { partial_image_b64: image, partial_image_index: index } = made;
    this.#event("partial_image", image, looksOf(made, this.#looks), { partial_image_index: index ?? 0 });
  }

  #completed(): void {
    const response = this.#accumulator.toResponse();
    if (!response) throw truncated();
    const [picture] = picturesOf(response);
    if (!picture) return;
    this.isDone = true;
    const usage = imageUsage(response, this.#hasImages);
    this.#event("completed", picture.result, looksOf(picture, this.#looks), usage ? { usage } : {});
  }

  #event(kind: string, image: string, looks: JsonObject, more: JsonObject): void {
    const type = `${this.#family}.${kind}`;
    this.#count += 1;
    this.#send(frameOf({ type, b64_json: image, created_at: this.#createdAt, ...looks, ...more }));
  }
}
