import { responseOf } from "../wire/lenient.ts";
import type { WireEvent } from "../wire/event.ts";
import { isTerminal } from "../wire/event-types.ts";
import type { ResponseObject } from "../wire/schema.ts";
import { Normalizer, type AnswerCut } from "./normalize.ts";

/**
 * Folds events into the final response. The backend's last event carries `output: []`, so the items are those of the
 * stream; one that never ended is made of its pieces.
 */
export class ResponseAssembler {
  readonly #normalizer: Normalizer;
  #response: ResponseObject | undefined;

  constructor(cut?: AnswerCut) {
    this.#normalizer = new Normalizer((event) => this.#onRegular(event), { keepsText: true, cut });
  }

  /** True once a terminal event has come. */
  get isComplete(): boolean {
    return this.#response !== undefined;
  }

  onEvent(wire: WireEvent): void {
    this.#normalizer.onEvent(wire);
  }

  /** The whole response, its `output` complete and its status an end. Undefined before a terminal event. */
  toResponse(): ResponseObject | undefined {
    return this.#response;
  }

  #onRegular({ type, event }: WireEvent): void {
    if (isTerminal(type)) this.#response = responseOf(event);
  }
}
