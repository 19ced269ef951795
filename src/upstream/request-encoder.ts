import { isLasting, keyOf, losesSomething, type Adaptation } from "../codex/request/adaptation.ts";
import { conversationId, conversationKey } from "../codex/request/cache-key.ts";
import { finishRequest, type FinishedRequest } from "../codex/request/finish.ts";
import { LITE_HEADER, needsFullEnvelope, type Envelope } from "../codex/request/lite.ts";
import { parsePath, pathText } from "../codex/request/path.ts";
import { adaptationFor, refusalOf } from "../codex/request/refusals.ts";
import type { CodexRequest } from "../codex/wire/request.ts";
import type { RelayError } from "../lib/errors.ts";
import { writeJson } from "../lib/large-json.ts";
import type { Log } from "../lib/log.ts";
import type { CatalogueKeeper } from "./catalogue.ts";
import type { LearnedRejections } from "./learned-rejections.ts";
import type { UpstreamOptions } from "./options.ts";
import { PrefixReading, type PrefixWatch } from "./prefix-watch.ts";

/** A request as its dialect wrote it, and whether a Codex client sent it: those go as they are. */
export interface WrittenRequest {
  readonly body: CodexRequest;
  readonly codexHeaders: Readonly<Record<string, string>> | undefined;
  /** Tells clients with different keys apart in a derived cache key. */
  readonly clientId: string;
  /** True when the client would rather be refused than lose something. */
  readonly isStrict: boolean;
  /** A place in `body`, as in `input[3].content`, in the client's own words. */
  readonly clientPath?: (path: string) => string;
}

/** Places that a refusal names in its text: of a list's entry, or of a nested field in quotes. */
const PLACES = /\b(?:input|tools)\[\d+\](?:\[\d+\]|\.[A-Za-z_]\w*)*|(?<=')(?:reasoning|text)(?:\.[A-Za-z_]\w*)+(?=')/g;

export interface EncoderOptions {
  readonly learned: LearnedRejections;
  readonly options: Pick<UpstreamOptions, "lite">;
  readonly catalogue: CatalogueKeeper;
  readonly log: Log;
}

/** What one attempt sends, over either transport. */
export interface PreparedRequest {
  readonly wire: CodexRequest | FinishedRequest["wire"];
  /** That say how the body is to be understood. */
  readonly headers: Readonly<Record<string, string>>;
  /** UUID that stays the same for all requests of one conversation. */
  readonly conversationId: string;
  /** The same for what the relay keeps of the conversation: two clients may give theirs the same name. */
  readonly ownConversation: string;
}

/** The same as an HTTP body. */
export interface EncodedRequest {
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** For one request. Each costs another one. */
const MOST_ADAPTATIONS = 12;

/** One request on its way to the backend, and changed when the backend refuses it. Each adaptation is tried once. */
export class RequestEncoder {
  readonly #written: WrittenRequest;
  readonly #options: EncoderOptions;
  /** For this request, in the order in which it needed them. */
  readonly #adaptations: Adaptation[] = [];
  /** Whether the last attempt was packed. */
  #isPacked = false;
  #finished: FinishedRequest | undefined;
  #ownConversation = "";
  /** The last attempt's body, where it was written in one text. */
  #text: string | undefined;
  /** Of the last attempt. */
  #prefix: PrefixReading | undefined;
  /** Refusals of tools that something was learnt from. */
  #toolRefusals = 0;

  constructor(written: WrittenRequest, options: EncoderOptions) {
    this.#written = written;
    this.#options = options;
  }

  /** Paths of what the last attempt did not send as the client wrote it. */
  get adjusted(): readonly string[] {
    return this.#finished?.adjusted ?? [];
  }

  /** What the next attempt sends, with all that refusals have taught so far. */
  prepare(): PreparedRequest {
    const { body: written, codexHeaders, clientId } = this.#written;
    if (!codexHeaders) this.#finished = this.#finish();
    this.#isPacked = false;
    this.#text = undefined;
    const key = this.#finished?.cacheKey ?? written.prompt_cache_key ?? conversationKey(written, clientId);
    const id = conversationId(key);
    this.#ownConversation = clientId === "" ? id : `${clientId} ${id}`;
    return {
      wire: this.#finished?.wire ?? written,
      headers: this.#finished?.envelope === "lite" ? { [LITE_HEADER]: "true" } : {},
      conversationId: id,
      ownConversation: this.#ownConversation,
    };
  }

  /** The same as an HTTP body for `url`, compressed where the backend takes that. */
  async encode(url: string, { wire, headers: about }: PreparedRequest): Promise<EncodedRequest> {
    const written = await writeJson(wire);
    if (typeof written === "string") this.#text = written;
    const { body, headers } = await this.#options.learned.packing.pack(url, written);
    this.#isPacked = headers["content-encoding"] !== undefined;
    return { body, headers: { ...about, ...headers } };
  }

  /** Takes the marks of what this attempt sends, once it is out. */
  readPrefix(watch: PrefixWatch): void {
    const { body, envelope } = this.#finished ?? { body: this.#written.body, envelope: "verbatim" as const };
    this.#prefix = new PrefixReading(() => watch.read(this.#ownConversation, { body, envelope, text: this.#text }));
  }

  /** Where what the last attempt sent departs from its conversation's last request; see PrefixWatch. */
  prefixDeparture(watch: PrefixWatch): string | undefined {
    return watch.notice(this.#ownConversation, this.#prefix?.marks);
  }

  /** `ownConversation` of the last attempt; "" before the first. */
  get ownConversation(): string {
    return this.#ownConversation;
  }

  /** Changes the request so that the same refusal cannot come again. False when nothing can be changed. */
  adapt(error: RelayError): boolean {
    const { learned, log } = this.#options;
    if (this.#isPacked && learned.packing.learn(error)) {
      log.warn("The backend does not take packed requests; they go as they are from now on.");
      return true;
    }
    const finished = this.#finished;
    if (!finished || !isRefusal(error) || this.#adaptations.length >= MOST_ADAPTATIONS) return false;
    return this.#adaptTools(error, finished) || this.#adaptFields(error, finished);
  }

  /** The backend took the request: the envelope that it took holds for the model from now on. */
  succeeded(): void {
    const { learned, log } = this.#options;
    const change = this.#adaptations.findLast(({ kind }) => kind === "envelope");
    if (!change) return;
    learned.learn(this.#written.body.model, change);
    log.warn("The backend takes this model's requests in the other envelope; it is used from now on.", {
      model: this.#written.body.model,
      envelope: this.#finished?.envelope ?? "full",
    });
  }

  /** A refusal with the places that it names in the client's own words. */
  inClientTerms(error: RelayError): RelayError {
    const finished = this.#finished;
    if (!finished || !isRefusal(error)) return error;
    const toClient = (text: string): string => {
      const path = parsePath(text);
      if (path === undefined) return text;
      const place = pathText(finished.toWrittenPath(finished.toBodyPath(path)));
      return this.#written.clientPath?.(place) ?? place;
    };
    const message = error.message.replace(PLACES, toClient);
    const param = error.param === undefined ? undefined : toClient(error.param);
    return message === error.message && param === error.param
      ? error
      : error.reworded(message, param === undefined ? {} : { param });
  }

  #adaptTools(error: RelayError, { body }: FinishedRequest): boolean {
    const { learned, log } = this.#options;
    const isLearned = learned.tools.learn(error, {
      model: body.model,
      tools: this.#written.body.tools ?? [],
      sent: body.tools ?? [],
      refusals: this.#toolRefusals,
      mayLose: !this.#written.isStrict,
    });
    if (!isLearned) return false;
    this.#toolRefusals += 1;
    log.debug("The backend refuses a tool's schema; the tool is sent in another form.", { reason: error.message });
    return true;
  }

  #adaptFields(error: RelayError, finished: FinishedRequest): boolean {
    const { learned, log } = this.#options;
    const { model } = finished.body;
    const adaptation = adaptationFor(refusalOf(error), {
      ...finished,
      mayChangeEnvelope: this.#mayChangeEnvelope(finished),
    });
    if (!adaptation || (this.#written.isStrict && losesSomething(adaptation))) return false;
    if (this.#adaptations.some((known) => keyOf(known) === keyOf(adaptation))) return false;
    this.#adaptations.push(adaptation);
    if (adaptation.kind === "without-reasoning") learned.forgetReasoning(this.#written.body.input);
    if (isLasting(adaptation) && adaptation.kind !== "envelope") {
      learned.learn(model, adaptation);
      log.warn("The backend refuses a part of this model's requests; it is changed from now on.", {
        model,
        reason: error.message.slice(0, 200),
      });
    }
    return true;
  }

  /** Not against the owner's word, and into Lite only models that are listed with it. Tools may be lost there. */
  #mayChangeEnvelope({ envelope, body }: FinishedRequest): boolean {
    const { options, catalogue } = this.#options;
    if (envelope === "lite") return true;
    if (this.#written.isStrict && needsFullEnvelope(body)) return false;
    const choice = options.lite.models[body.model] ?? options.lite.default;
    return choice === "auto" && catalogue.find(body.model)?.use_responses_lite === true;
  }

  #finish(): FinishedRequest {
    const { learned } = this.#options;
    const { body, clientId, isStrict } = this.#written;
    const known = learned.of(body.model).filter((adaptation) => !(isStrict && losesSomething(adaptation)));
    const adaptations = [...known, ...this.#adaptations];
    return finishRequest(body, {
      clientId,
      adaptations,
      envelope: this.#envelope(body, adaptations),
      ...(learned.hasUnreadable ? { isUnreadable: (item) => learned.isUnreadable(item) } : {}),
      toolForm: (tool) => learned.tools.formOf(body.model, tool),
    });
  }

  #envelope(body: CodexRequest, adaptations: readonly Adaptation[]): Envelope {
    const learned = adaptations.findLast((adaptation) => adaptation.kind === "envelope");
    if (learned && !(this.#written.isStrict && needsFullEnvelope(body))) return learned.envelope;
    const { lite } = this.#options.options;
    const choice = lite.models[body.model] ?? lite.default;
    return choice === "on" && !needsFullEnvelope(body) ? "lite" : "full";
  }
}

/** True for what the backend says against the request itself, rather than against its moment or its sender. */
function isRefusal({ code }: RelayError): boolean {
  return code === "upstream_rejected" || code === "model_not_found";
}
