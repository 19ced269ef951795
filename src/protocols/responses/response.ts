import { ResponseAssembler } from "../../codex/output/assemble.ts";
import type { AnswerCut } from "../../codex/output/normalize.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import { RelayError } from "../../lib/errors.ts";
import type { ClientBody, Context } from "../protocol.ts";
import { remember } from "./history.ts";
import { completeResponse } from "./response-object.ts";
import type { ResponsesRequest } from "./schema.ts";

/** The reply of a request that did not ask for a stream. */
export class ResponsesBody implements ClientBody {
  readonly #request: ResponsesRequest;
  readonly #context: Context;
  readonly #assembler: ResponseAssembler;

  constructor(request: ResponsesRequest, context: Context, cut: AnswerCut | undefined) {
    this.#assembler = new ResponseAssembler(cut);
    this.#request = request;
    this.#context = context;
  }

  get isDone(): boolean {
    return this.#assembler.isComplete;
  }

  onEvent(wire: WireEvent): void {
    const failure = failureOf(wire, this.#context.now);
    if (failure) throw failure;
    this.#assembler.onEvent(wire);
  }

  toBody(): unknown {
    try {
      const response = this.#assembler.toResponse();
      if (response) {
        const body = completeResponse(response, this.#request, this.#context);
        remember(this.#request, this.#context, body);
        return body;
      }
    } catch (thrown) {
      if (thrown instanceof RelayError) throw thrown;
      // An end that is mangled is none.
      throw truncated(thrown);
    }
    throw truncated();
  }
}
