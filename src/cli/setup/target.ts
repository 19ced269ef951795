import { resolveModel } from "../../codex/model-names.ts";
import { publishedModels, type ModelCatalogue } from "../../codex/models.ts";
import type { Settings } from "../../config/settings.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { callableHost } from "../../lib/url.ts";
import { addressOf as listenAddress, urlAt } from "../own-relay.ts";
import { PROVIDER, type ClientSetup, type Target, type TargetModel } from "./client.ts";

/** What to assume of a model that the list does not describe. */
const USUAL_CONTEXT_TOKENS = 272_000;

/** Names by which the backend's smaller models are known. */
const SMALL = /(?:^|-)(luna|mini|nano|spark)(?:-|$)/;

/** Where clients find a relay that was started with these settings. Throws `usage` for a port that is not fixed. */
export function originOf(settings: Pick<Settings, "host" | "port" | "addr" | "unix" | "basePath" | "tlsCert">): string {
  const { host, port, unix } = listenAddress(settings);
  if (unix !== undefined) {
    throw new RelayError("usage", "Clients need a port, and --unix names a socket.", {
      hint: "Run a relay on a port for them, or `plansocket run -- COMMAND`.",
    });
  }
  if (port === 0) {
    throw new RelayError("usage", "Clients need a fixed port, and 0 is a free one each time.", {
      hint: "Choose one with --port.",
    });
  }
  // Few clients read an IPv6 address in a URL.
  return urlAt(settings, host === "::" ? "127.0.0.1" : callableHost(host), port);
}

/** Throws `setup_failed` for a key that the client would read as something else. Tells nothing of the key itself. */
export function checkKey({ title, replaces }: ClientSetup, key: string): void {
  if (replaces?.pattern.test(key) !== true) return;
  throw new RelayError(
    "setup_failed",
    `The relay's key has the form ${replaces.form} in it, which ${title} replaces.`,
    {
      hint: "Give the relay another key (--api-key or PLANSOCKET_API_KEY); letters and digits are always right.",
    },
  );
}

/** Base URLs and key of a relay at `origin`. */
export function addressOf(
  origin: string,
  apiKey: string | undefined,
): Pick<Target, "origin" | "v1" | "key" | "hasKey"> {
  return { origin, v1: `${origin}/v1`, key: apiKey ?? PROVIDER, hasKey: apiKey !== undefined };
}

/**
 * The model to use, one for small jobs, and all others. Without a wish it is the backend's own first choice. Throws
 * `usage` for a model that the account does not have.
 */
export function modelsOf(
  catalogue: ModelCatalogue,
  wanted: string | undefined,
): Pick<Target, "model" | "smallModel" | "models"> {
  const listed = publishedModels(catalogue);
  const order = (id: string) => catalogue.models.find(({ slug }) => slug === id)?.priority ?? Infinity;
  const model = wanted ?? (catalogue.published ? listed[0] : listed.toSorted((a, b) => order(a) - order(b))[0]);
  if (model === undefined) {
    throw new RelayError("setup_failed", "The account lists no models.", { hint: "Name one with --model." });
  }
  if (wanted !== undefined) check(catalogue, wanted);
  const smallModel = listed.find((id) => SMALL.test(id)) ?? model;
  const ids = [model, ...listed.filter((id) => id !== model)];
  return { model, smallModel, models: ids.map((id) => describe(catalogue, id)) };
}

function check(catalogue: ModelCatalogue, model: string): void {
  try {
    resolveModel({ models: catalogue, modelAliases: {} }, model);
  } catch (thrown) {
    const error = toRelayError(thrown);
    throw new RelayError("usage", error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
}

function describe(catalogue: ModelCatalogue, id: string): TargetModel {
  let info;
  try {
    info = resolveModel({ models: catalogue, modelAliases: {} }, id).info;
  } catch {
    // Listed by --models, unknown to the backend: its owner knows why.
  }
  return {
    id,
    name: info?.slug === id ? (info.display_name ?? id) : id,
    contextTokens: info?.context_window ?? USUAL_CONTEXT_TOKENS,
    takesImages: info?.input_modalities?.includes("image") ?? true,
  };
}
