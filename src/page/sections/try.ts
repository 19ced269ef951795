import { createParser } from "eventsource-parser";
import { askModel, messageOf } from "../api.ts";
import type { ModelView, PageState } from "../contract.ts";
import { byId, copyButton, el, say } from "../dom.ts";
import { duration, grouped } from "../format.ts";

/** A question to a model, streamed, with the same call for a shell. */
export class TryBox {
  readonly #base: string;
  #isKeyRequired = false;
  #models: readonly ModelView[] = [];
  #running: AbortController | undefined;

  constructor(base: string) {
    this.#base = base;
    byId("try-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#running) this.#running.abort();
      else void this.#send();
    });
    for (const id of ["try-model", "try-effort", "try-text"]) byId(id).addEventListener("input", () => this.#changed());
    byId("try-copy").replaceWith(copyButton(() => this.#curl(), "the call as curl"));
  }

  /** Models and key as the relay has them now. */
  update({ models, isKeyRequired }: PageState): void {
    this.#isKeyRequired = isKeyRequired;
    const ids = models.map(({ id }) => id).join();
    if (ids === this.#models.map(({ id }) => id).join()) return;
    this.#models = models;
    const before = valueOf("try-model");
    byId("try-model").replaceChildren(
      ...models.map(({ id }) => el("option", { value: id, selected: id === before }, id)),
    );
    this.#changed();
  }

  #changed(): void {
    const model = this.#models.find(({ id }) => id === valueOf("try-model"));
    const before = valueOf("try-effort");
    const efforts = model?.efforts ?? [];
    byId("try-effort").replaceChildren(
      el("option", { value: "" }, "default"),
      ...efforts.map((effort) => el("option", { value: effort, selected: effort === before }, effort)),
    );
    byId("try-curl").textContent = this.#curl();
  }

  #body(): object {
    const effort = valueOf("try-effort");
    return {
      model: valueOf("try-model"),
      input: valueOf("try-text"),
      stream: true,
      ...(effort === "" ? {} : { reasoning: { effort } }),
    };
  }

  #curl(): string {
    const key = this.#isKeyRequired ? ` \\\n  -H "authorization: Bearer $PLANSOCKET_API_KEY"` : "";
    const body = JSON.stringify(this.#body()).replaceAll("'", `'\\''`);
    return `curl -N ${this.#base}/v1/responses \\\n  -H 'content-type: application/json'${key} \\\n  -d '${body}'`;
  }

  async #send(): Promise<void> {
    const controller = new AbortController();
    this.#running = controller;
    const [button, answer, facts] = [byId("try-send"), byId("try-answer"), byId("try-facts")];
    const startedAt = performance.now();
    button.textContent = "Stop";
    answer.textContent = "";
    answer.className = "";
    facts.textContent = "Waiting for the first token…";
    try {
      const reply = await askModel(this.#body(), controller.signal);
      if (!reply.ok || !reply.body) throw new Error(await messageOf(reply));
      facts.textContent = await streamInto(reply.body, answer, startedAt);
      say("The answer is complete.");
    } catch (error) {
      const isStopped = controller.signal.aborted;
      facts.textContent = isStopped ? "Stopped." : error instanceof Error ? error.message : "The request failed.";
      if (!isStopped) answer.className = "bad";
      say(facts.textContent);
    } finally {
      this.#running = undefined;
      button.textContent = "Send";
    }
  }
}

function valueOf(id: string): string {
  const element = byId(id);
  return element instanceof HTMLSelectElement || element instanceof HTMLTextAreaElement ? element.value : "";
}

interface StreamEvent {
  readonly type?: string;
  readonly delta?: unknown;
  readonly message?: unknown;
  readonly response?: {
    readonly model?: string;
    readonly usage?: { readonly input_tokens?: number; readonly output_tokens?: number } | null;
    readonly error?: { readonly message?: string } | null;
  };
}

/** Writes the text of an answer as it comes. Returns a line about it; throws when it failed. */
async function streamInto(body: ReadableStream<Uint8Array>, answer: HTMLElement, startedAt: number): Promise<string> {
  let first: number | undefined;
  let last: StreamEvent | undefined;
  const parser = createParser({
    onEvent({ data }) {
      const event: unknown = JSON.parse(data);
      if (!isStreamEvent(event)) return;
      if (event.type === "response.output_text.delta" && typeof event.delta === "string") {
        first ??= performance.now() - startedAt;
        answer.append(event.delta);
      } else if (event.type === "error" || /^response\.(completed|incomplete|failed)$/.test(event.type ?? "")) {
        last = event;
      }
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parser.feed(decoder.decode(part.value, { stream: true }));
  }
  const failure = last?.type === "error" ? last.message : last?.response?.error?.message;
  if (typeof failure === "string") throw new Error(failure);
  const usage = last?.response?.usage;
  const tokens = usage
    ? `, ${grouped(usage.input_tokens ?? 0)} tokens in, ${grouped(usage.output_tokens ?? 0)} out`
    : "";
  return `First token after ${duration(first)}, done after ${duration(performance.now() - startedAt)}${tokens}.`;
}

function isStreamEvent(value: unknown): value is StreamEvent {
  return typeof value === "object" && value !== null;
}
