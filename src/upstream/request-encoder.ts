import { unsupportedParameter } from "../codex/wire/failure.ts";
import { LITE_HEADER, needsClassicShape, toLite } from "../codex/request/lite.ts";
import { findModel } from "../codex/models.ts";
import type { CodexRequest } from "../codex/wire/schema.ts";
import type { RelayError } from "../lib/errors.ts";
import { writeJson } from "../lib/large-json.ts";
import type { Log } from "../lib/log.ts";
import type { CatalogueKeeper } from "./catalogue.ts";
import type { UpstreamOptions } from "./options.ts";
import { Packing } from "./compression.ts";
import { RejectedTools } from "./rejected-tools.ts";

/** What the backend's refusals have taught, for all requests to come. */
export class LearnedRejections {
  /** Fields that are left out from the start. */
  readonly unsupported = new Set<string>();
  readonly refusedTools = new RejectedTools();
  readonly packing = new Packing();
}

/** What is to be said, and whether a Codex client says it: its words go as they are. */
export interface Message {
  readonly body: CodexRequest;
  readonly codexHeaders: Readonly<Record<string, string>> | undefined;
  /** Hex characters unique to the request. */
  readonly requestId: string;
}

export interface WordingOptions {
  readonly lessons: LearnedRejections;
  readonly options: Pick<UpstreamOptions, "lite">;
  readonly catalogue: CatalogueKeeper;
  readonly log: Log;
}

/** Never left out, whatever upstream says about them. */
const REQUIRED = new Set(["model", "input", "store", "stream"]);

/** How one request is put to the backend, and put anew when the backend does not take it so. Each adaptation works once. */
export class RequestEncoder {
  /** What the backend does not take of the request: left out. */
  readonly dropped = new Set<string>();
  readonly #message: Message;
  readonly #about: WordingOptions;
  /** Whether the last attempt was packed. */
  #isPacked = false;
  #withoutReasoning = false;
  #shape: "auto" | "lite" = "auto";
  /** As they were sent last. */
  #tools: readonly unknown[] = [];
  /** Refusals of tools that something was learned from. */
  #toolLessons = 0;

  constructor(message: Message, about: WordingOptions) {
    this.#message = message;
    this.#about = about;
  }

  /** The body for an attempt at `url`, and the headers that say how it is to be read. */
  async encode(url: string): Promise<{ body: string | Uint8Array<ArrayBuffer>; headers: Record<string, string> }> {
    const isVerbatim = this.#message.codexHeaders !== undefined;
    const { payload, isLite } = isVerbatim ? { payload: this.#message.body, isLite: false } : await this.#shaped();
    const { body, headers } = await this.#about.lessons.packing.pack(url, await writeJson(payload));
    this.#isPacked = headers["content-encoding"] !== undefined;
    return { body, headers: { ...(isLite ? { [LITE_HEADER]: "true" } : {}), ...headers } };
  }

  /** Changes the request so that the same refusal cannot come again. False when nothing can be changed. */
  adapt(error: RelayError): boolean {
    const { lessons, log } = this.#about;
    const { body, codexHeaders } = this.#message;
    if (this.#isPacked && lessons.packing.learn(error)) {
      log.warn("The backend does not take packed requests; they go as they are from now on.");
      return true;
    }
    if (codexHeaders) return false;
    const name = unsupportedParameter(error.message);
    if (name !== undefined && name in body && !REQUIRED.has(name) && !this.dropped.has(name)) {
      lessons.unsupported.add(name);
      this.dropped.add(name);
      log.warn("The backend refuses a field that it used to take; it is left out from now on.", { field: name });
      return true;
    }
    if (lessons.refusedTools.learn(error, body.tools ?? [], this.#tools, this.#toolLessons)) {
      this.#toolLessons += 1;
      log.debug("The backend refuses a tool's schema; it is made simpler.", { reason: error.message });
      return true;
    }
    if (error.wireCode === "invalid_encrypted_content" && !this.#withoutReasoning) {
      this.#withoutReasoning = true;
      return true;
    }
    const isShapeFault = error.code === "model_not_found" && needsClassicShape(body) && this.#shape === "auto";
    if (isShapeFault) this.#shape = "lite";
    return isShapeFault;
  }

  async #shaped(): Promise<{ payload: object; isLite: boolean }> {
    const { lessons } = this.#about;
    const refused = [...lessons.unsupported].filter((name) => name in this.#message.body);
    for (const name of refused) this.dropped.add(name);
    const kept = Object.entries(this.#message.body).filter(([name]) => !refused.includes(name));
    const body = Object.fromEntries(kept) as CodexRequest;
    if (body.tools) {
      const { tools, dropped } = lessons.refusedTools.apply(body.tools);
      body.tools = tools;
      this.#tools = tools;
      for (const path of dropped) this.dropped.add(path);
    }
    if (this.#withoutReasoning) body.input = body.input.filter((item) => item["type"] !== "reasoning");
    const isLite = this.#shape === "lite" || (!needsClassicShape(body) && (await this.#usesLite(body.model)));
    return { payload: isLite ? toLite(body, this.#message.requestId) : body, isLite };
  }

  async #usesLite(model: string): Promise<boolean> {
    const { options, catalogue } = this.#about;
    const models = await catalogue.current();
    const choice = options.lite.models[model] ?? options.lite.default;
    return choice === "auto" ? findModel(models, model)?.use_responses_lite === true : choice === "on";
  }
}
