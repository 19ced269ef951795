import { readFile } from "node:fs/promises";
import { z } from "zod";
import bundled from "../codex/bundled-models.json" with { type: "json" };
import { findModel, ModelInfo, type ModelCatalogue } from "../codex/models.ts";
import { httpFailure } from "../codex/wire/failure.ts";
import { RelayError } from "../lib/errors.ts";
import { parseJson } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { errorName } from "../lib/thrown.ts";

const FRESH_MS = 5 * 60_000;
/** After a failed question the old list serves this long before the next try. */
const RETRY_MS = 30_000;

const ModelList = z.looseObject({ models: z.array(z.unknown()) });

export interface CatalogueOptions {
  /** Asks the backend; throws when it cannot be asked. */
  readonly ask: (etag: string | undefined) => Promise<Response>;
  readonly modelsCacheFile: string | undefined;
  readonly published: readonly string[] | undefined;
  readonly now: () => number;
  readonly log: Log;
}

/**
 * The account's models: what the backend last said, else the Codex CLI's own cache file, else the list that was
 * current when the relay was built. Asks again when the list is old or upstream announces another one.
 */
export class CatalogueKeeper {
  readonly #options: CatalogueOptions;
  #known: ModelCatalogue | undefined;
  #etag: string | undefined;
  #askAgainAtMs = 0;
  #published: readonly string[] | undefined;
  #asking: Promise<ModelCatalogue> | undefined;

  constructor(options: CatalogueOptions) {
    this.#options = options;
    this.#published = options.published;
  }

  /** Another list of the owner's own; undefined goes back to the account's. */
  publish(ids: readonly string[] | undefined): void {
    this.#published = ids;
    if (this.#known) this.#keep(this.#known);
  }

  /** Never throws and, once a list is known, never waits: an old list is renewed behind the caller's back. */
  async current(): Promise<ModelCatalogue> {
    const isDue = this.#options.now() >= this.#askAgainAtMs;
    if (this.#known && !isDue) return this.#known;
    this.#asking ??= this.#renew().finally(() => (this.#asking = undefined));
    return this.#known ?? this.#asking;
  }

  /** The list as it is known now, if it is; asks nobody. */
  get known(): ModelCatalogue | undefined {
    return this.#known;
  }

  /** A model's entry in the list as it is known now; asks nobody. */
  find(slug: string): ModelInfo | undefined {
    return this.#known && findModel(this.#known, slug);
  }

  /** Tells the keeper about `x-models-etag` of a reply. */
  noticeEtag(etag: string | undefined): void {
    if (etag !== undefined && this.#etag !== undefined && etag !== this.#etag) this.#askAgainAtMs = 0;
  }

  async #renew(): Promise<ModelCatalogue> {
    try {
      const response = await this.#options.ask(this.#etag);
      if (response.status === 304 && this.#known) {
        this.#askAgainAtMs = this.#options.now() + FRESH_MS;
        return this.#known;
      }
      const models = await this.#modelsIn(response);
      this.#etag = response.headers.get("etag") ?? undefined;
      this.#askAgainAtMs = this.#options.now() + FRESH_MS;
      return this.#keep({ origin: "live", models });
    } catch (error) {
      this.#askAgainAtMs = this.#options.now() + RETRY_MS;
      const reason = reasonOf(error);
      this.#options.log.debug("The model list could not be fetched.", { reason });
      return this.#known ?? this.#fallback(reason);
    }
  }

  /** The list of a reply. Throws RelayError where there is none. */
  async #modelsIn(response: Response): Promise<readonly ModelInfo[]> {
    const { ok, status, headers } = response;
    const text = await response.text();
    const isPage = /^\s*</.test(text);
    if (!ok || isPage) throw httpFailure({ status, headers, text }, this.#options.now());
    const models = parseModels(parseJson(text));
    if (models.length > 0) return models;
    throw new RelayError("upstream_error", "The backend answered without a list of models.");
  }

  async #fallback(reason: string): Promise<ModelCatalogue> {
    return this.#keep({ ...(await offlineCatalogue(this.#options.modelsCacheFile, undefined)), reason });
  }

  #keep({ origin, models, reason }: ModelCatalogue): ModelCatalogue {
    const why = reason === undefined ? {} : { reason };
    this.#known = { origin, models, ...why, ...(this.#published ? { published: this.#published } : {}) };
    return this.#known;
  }
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof RelayError) return thrown.explanation;
  return errorName(thrown) === "TimeoutError" ? "There was no answer in time." : "The connection failed.";
}

/** The list that serves while the backend cannot be asked: the Codex CLI's cache, else the one built in. */
export async function offlineCatalogue(
  modelsCacheFile: string | undefined,
  published: readonly string[] | undefined,
): Promise<ModelCatalogue> {
  const text = modelsCacheFile === undefined ? "" : await readFile(modelsCacheFile, "utf8").catch(() => "");
  const cached = parseModels(parseJson(text));
  const own = published ? { published } : {};
  return cached.length > 0
    ? { origin: "cache", models: cached, ...own }
    : { origin: "bundled", models: parseModels(bundled), ...own };
}

/** A list is read once in minutes: code that zod would make for its schemas costs a start more than it saves. */
const SELDOM = { jitless: true };

/** Entries that fit; one odd entry does not cost the whole list. */
function parseModels(body: unknown): ModelInfo[] {
  const list = ModelList.safeParse(body, SELDOM);
  if (!list.success) return [];
  return list.data.models.flatMap((entry) => {
    const model = ModelInfo.safeParse(entry, SELDOM);
    return model.success ? [model.data] : [];
  });
}
