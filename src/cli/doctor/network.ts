import { z } from "zod";
import { publishedModels } from "../../codex/models.ts";
import { parseJson } from "../../lib/json.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { span } from "../time.ts";
import type { Wiring } from "../wire.ts";
import { fail, ok, warn, type Outcome } from "./finding.ts";

const ALARMING_MS = 60_000;
const BREAKING_MS = 5 * 60_000;

/** What a host said about the time, and when it was heard. */
export interface Heard {
  readonly host: string;
  readonly theirsMs: number;
  readonly oursMs: number;
}

/** Which way requests leave. */
export function proxyCheck(wiring: Wiring, urls: readonly string[]): Outcome {
  const ways = new Map<string, string[]>();
  for (const url of urls) {
    const way = wiring.egress.proxyFor(url) ?? "directly";
    const { host } = new URL(url);
    ways.set(way, [...new Set([...(ways.get(way) ?? []), host])]);
  }
  const from = wiring.origins.proxy === "default" ? "" : ` (set by ${wiring.origins.proxy})`;
  return ok(
    [...ways]
      .map(([way, hosts]) => `${hosts.join(", ")} ${way === "directly" ? way : `through ${way}${from}`}`)
      .join("; "),
  );
}

/** The login service can be reached. Nothing is asked of it that counts. */
export async function serviceCheck(
  wiring: Wiring,
  url: string,
  heard: (heard: Heard) => void,
  signal: AbortSignal,
): Promise<Outcome> {
  const { host, origin } = new URL(url);
  let response: Response;
  try {
    response = await wiring.egress.fetch(`${origin}/`, { redirect: "manual", signal });
    await response.body?.cancel();
  } catch (error) {
    throw unreachable(error, host, wiring.egress.proxyFor(url));
  }
  hear(response, host, heard);
  if (response.headers.get("cf-mitigated") !== null) {
    return warn(
      `${host} answers, but Cloudflare challenges this network.`,
      "If renewing the login fails, try another network or set --proxy.",
    );
  }
  return ok(`${host} answers`);
}

function hear(response: Response, host: string, heard: (heard: Heard) => void): void {
  const theirsMs = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(theirsMs)) heard({ host, theirsMs, oursMs: Date.now() });
}

/** A wrong clock takes good tokens for ended ones and the other way round. */
export function clockCheck(heard: readonly Heard[]): Outcome {
  const [first] = heard;
  if (!first) return { status: "skip", summary: "nobody said what time it is" };
  const offMs = first.oursMs - first.theirsMs;
  const off = `${span(Math.abs(offMs))} ${offMs > 0 ? "ahead of" : "behind"} ${first.host}`;
  const fix = "Set this machine's clock, best by NTP (`timedatectl set-ntp true` on Linux).";
  // A Date header counts whole seconds, and the way takes its time.
  if (Math.abs(offMs) < ALARMING_MS) return ok(`agrees with ${first.host}`);
  return Math.abs(offMs) < BREAKING_MS ? warn(`The clock is ${off}.`, fix) : fail(`The clock is ${off}.`, fix);
}

const ModelList = z.looseObject({
  models: z.array(z.looseObject({ slug: z.string(), minimal_client_version: z.string().nullish() })),
});
export type ModelList = z.infer<typeof ModelList>;

/** The backend can be reached and takes the login. Asks for its models: what it says of them is in `models`. */
export async function backendCheck(
  wiring: Wiring,
  clientVersion: string,
  found: { models?: ModelList["models"]; heard: (heard: Heard) => void },
  signal: AbortSignal,
): Promise<Outcome> {
  const { host } = new URL(wiring.settings.baseUrl);
  const response = await wiring.upstream.rawModels(clientVersion, {}, signal);
  hear(response, host, found.heard);
  const list = ModelList.safeParse(parseJson(await response.text()));
  if (!list.success) {
    return fail(
      `${host} answers, but not with a model list.`,
      "Check --base-url, and whether a web page is in between.",
    );
  }
  found.models = list.data.models;
  return ok(`${host} takes the login`);
}

/** The public API takes the key. */
export async function publicApiCheck(wiring: Wiring, signal: AbortSignal): Promise<Outcome> {
  const { host } = new URL(wiring.settings.openaiBaseUrl);
  const call = { method: "GET", path: "/models", headers: new Headers(), body: undefined };
  const response = await wiring.upstream.forward(call, await wiring.credentials.current(), signal);
  await response.body?.cancel();
  if (response.status === 401) return fail(`${host} refuses the API key.`, "Run `codex login --with-api-key` again.");
  if (!response.ok) return fail(`${host} answers ${response.status}.`, "Try again in a moment.");
  return ok(`${host} takes the key`);
}

/** What the account has, and what the owner's own list asks for in vain. */
export function modelsCheck(wiring: Wiring, models: ModelList["models"], clientVersion: string): Outcome {
  const current = "Set --client-version to that of a current Codex CLI.";
  if (models.length === 0) return fail(`The backend has no models for client version ${clientVersion}.`, current);
  const slugs = models.map(({ slug }) => slug);
  const retired = (wiring.settings.models ?? []).filter((id) => !slugs.includes(id));
  if (retired.length > 0) {
    return warn(
      `${wiring.origins.models} lists ${retired.join(", ")}, which the account does not have (any more).`,
      `Choose from: ${publishedModels({ origin: "live", models }).join(", ")}.`,
    );
  }
  const tooNew = models.filter(({ minimal_client_version: least }) => least && isOlder(clientVersion, least));
  if (tooNew.length > 0) {
    return warn(
      `Client version ${clientVersion} is too old for ${tooNew.map(({ slug }) => slug).join(", ")}.`,
      current,
    );
  }
  const published = publishedModels({ origin: "live", models });
  return ok(`${published.length} models: ${published.slice(0, 4).join(", ")}${published.length > 4 ? ", …" : ""}`);
}

function isOlder(version: string, than: string): boolean {
  const [ours, theirs] = [version, than].map((text) =>
    text.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0),
  );
  for (let index = 0; index < 3; index += 1) {
    const difference = (ours?.[index] ?? 0) - (theirs?.[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
