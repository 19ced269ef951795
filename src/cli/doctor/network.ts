import { z } from "zod";
import { networkRefusal } from "../../auth/login-service.ts";
import { httpFailure } from "../../codex/wire/failure.ts";
import { publishedModels, type ModelCatalogue } from "../../codex/models.ts";
import { toRelayError } from "../../lib/errors.ts";
import { isOlder } from "../../lib/version-order.ts";
import { isLoopbackName } from "../../lib/host.ts";
import { parseJson } from "../../lib/json.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { authorityPlaces } from "../../upstream/authorities.ts";
import { span } from "../../lib/time.ts";
import type { Services } from "../services.ts";
import { fail, noAnswer, ok, skip, warn, type Outcome } from "./finding.ts";

const ALARMING_MS = 60_000;
const BREAKING_MS = 5 * 60_000;

/** What a host said about the time, and when it was heard. */
export interface Heard {
  readonly host: string;
  readonly theirsMs: number;
  readonly oursMs: number;
}

/** Takes note of a reply's clock. */
export type Hear = (heard: Heard) => void;

/** Variables that other programs take a proxy from, and the relay does not. */
const UNREAD = ["HTTP_PROXY", "http_proxy"];

/** Those of them that are set. To be asked before services are opened, which takes them out of the process. */
export function unreadProxyVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return UNREAD.filter((name) => env[name]);
}

/** Which way requests leave, and why. `unread` are proxy variables that have no effect here. */
export function proxyCheck(services: Services, urls: readonly string[], unread: readonly string[]): Outcome {
  const ways = new Map<string, string[]>();
  for (const url of urls) {
    const { host } = new URL(url);
    const way = wayTo(services, url);
    ways.set(way, [...new Set([...(ways.get(way) ?? []), host])]);
  }
  const line = [...ways].map(([way, hosts]) => `${hosts.join(", ")} ${way}`).join("; ");
  const detail = Object.fromEntries(urls.map((url) => [new URL(url).host, services.egress.proxyFor(url) ?? null]));
  const isOutside = urls.some((url) => !isLoopbackName(new URL(url).hostname));
  if (services.settings.proxy !== undefined || unread.length === 0 || !isOutside)
    return ok(line, { proxy_for: detail });
  return warn(
    `${line}. ${unread.join(" and ")} ${unread.length > 1 ? "are" : "is"} not used.`,
    "If this machine needs a proxy, set HTTPS_PROXY or --proxy.",
    { proxy_for: detail },
  );
}

function wayTo(services: Services, url: string): string {
  const proxy = services.egress.proxyFor(url);
  if (proxy !== undefined) return `through ${proxy} (set by ${services.origins.proxy})`;
  if (services.settings.proxy === undefined) return "directly";
  return `directly (${isLoopbackName(new URL(url).hostname) ? "loopback" : "NO_PROXY"})`;
}

/** Authorities that are trusted besides those that come with the relay. A place without any is passed over. */
export function tlsCheck(env: Readonly<Record<string, string | undefined>>): Outcome {
  const places = authorityPlaces(env);
  const faults = places.filter(({ fault }) => fault !== undefined);
  if (faults.length > 0) {
    const text = faults.map(({ variable, path, fault }) => `${variable}: ${path} ${fault}.`).join(" ");
    const names = [...new Set(faults.map(({ variable }) => variable))].join(" and ");
    return warn(text, `Let ${names} name PEM certificates, or unset it.`);
  }
  const named = places.map(({ variable, path }) => `${path} (${variable})`);
  const usual = "certificates are checked against the usual authorities, then the system's";
  return ok(named.length === 0 ? usual : `${usual}, and those in ${named.join(", ")}`);
}

/** Says that a host kept silent, and which way it was asked. */
export function silence(services: Services, url: string): Outcome {
  const proxy = services.egress.proxyFor(url);
  const { host } = new URL(url);
  return proxy === undefined
    ? noAnswer(`${host} did not answer`)
    : noAnswer(`${host} did not answer through the proxy ${proxy}`, undefined, "Check the proxy (--proxy).");
}

/** The login service can be reached. Nothing is asked of it that counts. */
export async function serviceCheck(services: Services, url: string, hear: Hear, signal: AbortSignal): Promise<Outcome> {
  const { host, origin } = new URL(url);
  let response: Response;
  try {
    response = await services.egress.fetch(`${origin}/`, { redirect: "manual", signal });
  } catch (error) {
    throw unreachable(error, host, services.egress.proxyFor(url));
  }
  listen(response, host, hear);
  if (response.headers.get("cf-mitigated") !== null) {
    await response.body?.cancel();
    return warn(
      `${host} answers, but Cloudflare challenges this network.`,
      "If renewing the login fails, try another network or set --proxy.",
    );
  }
  const isForbidden = response.status === 403;
  const refusal = isForbidden ? networkRefusal(403, await response.text().catch(() => "")) : undefined;
  if (!isForbidden) await response.body?.cancel();
  if (refusal !== undefined) return fail(refusal, "Try another network, or set --proxy.");
  if (response.status >= 500) return warn(`${host} answers ${response.status}.`, "Try again in a moment.");
  return ok(`${host} answers`);
}

function listen(response: Response, host: string, hear: Hear): void {
  const theirsMs = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(theirsMs)) hear({ host, theirsMs, oursMs: Date.now() });
}

/** A wrong clock takes good tokens for ended ones and the other way round. */
export function clockCheck(heard: readonly Heard[]): Outcome {
  const [first] = heard;
  if (!first) return skip("nobody said what time it is");
  const offMs = first.oursMs - first.theirsMs;
  const off = `${span(Math.abs(offMs))} ${offMs > 0 ? "ahead of" : "behind"} ${first.host}`;
  const fix = "Set this machine's clock, best by NTP (`timedatectl set-ntp true` on Linux).";
  const detail = { off_seconds: Math.round(offMs / 1000), host: first.host };
  // A Date header counts whole seconds, and the way takes its time.
  if (Math.abs(offMs) <= ALARMING_MS) return ok(`agrees with ${first.host}`, detail);
  return Math.abs(offMs) <= BREAKING_MS
    ? warn(`The clock is ${off}.`, fix, detail)
    : fail(`The clock is ${off}.`, fix, detail);
}

const ModelList = z.looseObject({
  models: z.array(
    z.looseObject({
      slug: z.string(),
      visibility: z.string().nullish(),
      minimal_client_version: z.string().nullish(),
    }),
  ),
});
export type Models = z.infer<typeof ModelList>["models"];

/** The backend can be reached and takes the login. Asks for its models, and hands them to `found`. */
export async function backendCheck(
  services: Services,
  found: (models: Models) => void,
  hear: Hear,
  signal: AbortSignal,
): Promise<Outcome> {
  const { host } = new URL(services.settings.baseUrl);
  let response: Response;
  try {
    response = await services.upstream.rawModels(services.upstreamOptions.clientVersion, {}, signal);
  } catch (thrown) {
    const fix = signal.aborted ? undefined : backendFix(services, thrown);
    if (fix === undefined) throw thrown;
    return fail(toRelayError(thrown).message, fix);
  }
  listen(response, host, hear);
  const list = ModelList.safeParse(parseJson(await response.text()));
  if (!list.success) {
    return fail(
      `${host} answers, but not with a model list.`,
      "Check --base-url, and whether a web page is in between.",
    );
  }
  found(list.data.models);
  return ok(`${host} takes the login`);
}

/** What helps against refusals that bring no advice of their own. */
function backendFix({ origins }: Services, thrown: unknown): string | undefined {
  const { code, hint, wireCode, message } = toRelayError(thrown);
  if (hint !== undefined) return undefined;
  if (wireCode === "deactivated_workspace") {
    return "The workspace of this login is switched off: ask its administrator, or sign in with another account.";
  }
  if (code === "quota_exceeded" && wireCode !== "usage_not_included") {
    return "Wait until the window resets; `plansocket usage` shows it.";
  }
  if (code === "access_denied" || code === "quota_exceeded")
    return "Sign in with an account that may use Codex: `plansocket login`.";
  return origins.baseUrl !== "default" && /not found|web page/i.test(message)
    ? `Check the address that ${origins.baseUrl} gives.`
    : undefined;
}

/** The public API takes the key. */
export async function publicApiCheck(services: Services, hear: Hear, signal: AbortSignal): Promise<Outcome> {
  const { host } = new URL(services.settings.openaiBaseUrl);
  const call = { method: "GET", path: "/models", headers: new Headers(), body: undefined };
  const response = await services.upstream.forward(call, await services.credentials.current(), signal);
  listen(response, host, hear);
  if (response.ok) {
    await response.body?.cancel();
    return ok(`${host} takes the key`);
  }
  if (response.status === 401) {
    await response.body?.cancel();
    return fail(`${host} refuses the API key.`, "Run `codex login --with-api-key` again.");
  }
  const { status, headers } = response;
  throw httpFailure({ status, headers, text: await response.text().catch(() => "") }, Date.now());
}

/** What the account has, and what the owner's own list asks for in vain. */
export function modelsCheck(services: Services, models: Models): Outcome {
  const { upstreamOptions, origins } = services;
  const { clientVersion } = upstreamOptions;
  const current = "Set --client-version to that of a current Codex CLI.";
  const published = publishedModels({ origin: "live", models });
  const detail = { origin: "live", models: published };
  if (models.length === 0)
    return fail(`The backend has no models for client version ${clientVersion}.`, current, detail);
  const slugs = models.map(({ slug }) => slug);
  const retired = (services.settings.models ?? []).filter((id) => !slugs.includes(id));
  if (retired.length > 0) {
    return warn(
      `${origins.models} lists ${retired.join(", ")}, which the account does not have (any more).`,
      `Choose from: ${published.join(", ")}.`,
      detail,
    );
  }
  const tooNew = models.filter(
    ({ slug, minimal_client_version: least }) => least && published.includes(slug) && isOlder(clientVersion, least),
  );
  if (tooNew.length > 0) {
    const names = tooNew.map(({ slug }) => slug).join(", ");
    return warn(`Client version ${clientVersion} is too old for ${names}.`, current, detail);
  }
  return ok(`${listed(published)}, live`, detail);
}

/** What clients are offered while the backend cannot be asked. */
export function oldModels(catalogue: ModelCatalogue): Outcome {
  const place = catalogue.origin === "cache" ? "in the Codex CLI's cache" : "that came with the relay";
  return skip(
    `the backend gave no list; until it does, clients see the ${listed(publishedModels(catalogue))} ${place}`,
  );
}

function listed(ids: readonly string[]): string {
  const shown = `${ids.slice(0, 4).join(", ")}${ids.length > 4 ? ", …" : ""}`;
  return `${ids.length} ${ids.length === 1 ? "model" : "models"} (${shown})`;
}
