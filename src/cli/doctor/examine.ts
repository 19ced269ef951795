import type { Environment } from "../../lib/environment.ts";
import { join } from "node:path";
import type { LoginFacts } from "../../auth/keeper.ts";
import { authFile as authFileOf, codexHome, stateFolder } from "../../config/paths.ts";
import { offlineCatalogue } from "../../upstream/catalogue.ts";
import type { RunningRelay } from "../../server/serve.ts";
import { hasTelemetryVariables, listen, listenWithoutLogin, openKeys, type Services, PLAIN } from "../services.ts";
import { check, RENEWAL_MS, skip, type Finding, type Outcome } from "./finding.ts";
import { keyPlace } from "../keys/key-place.ts";
import { keysCheck } from "./keys.ts";
import { storeCheck } from "./store.ts";
import { telemetryCheck } from "./telemetry.ts";
import { gateCheck, portCheck, settingsCheck, versionCheck } from "./local.ts";
import { loginCheck, storageCheck, tokenCheck, type ClockOff } from "./login.ts";
import {
  backendCheck,
  clockCheck,
  modelsCheck,
  oldModels,
  proxyCheck,
  publicApiCheck,
  serviceCheck,
  silence,
  tlsCheck,
  type Heard,
  type Models,
} from "./network.ts";

/** Settings that cannot be used are a finding too. */
export async function servicesOrFinding(load: () => Promise<Services>): Promise<Services | Finding> {
  const loaded: { services?: Services } = {};
  const finding = await check("settings", async () => {
    loaded.services = await load();
    return settingsCheck(loaded.services, undefined);
  });
  return loaded.services ?? finding;
}

/**
 * All checks that cost nothing, in the order in which a person would look. Those that do not wait for each other run at
 * once: the whole takes as long as the slowest chain, not as their sum.
 */
export async function* examine(
  services: Services,
  env: Environment,
  unreadProxies: readonly string[],
): AsyncGenerator<Finding, void, undefined> {
  const { settings } = services;
  const authFile = authFileOf(env, settings);
  const stateDir = stateFolder(env, settings);
  const port = check("port", () => portCheck(services, openKeys(services).ring.hasUsable));
  const gate = check("gate", () => tryGate(services));
  const login = await check("login", () => loginCheck(services, authFile));
  const facts = login.status === "fail" ? undefined : await services.credentials.describe();
  const remote = startRemote(services, join(codexHome(env), "models_cache.json"), facts);

  yield await check("version", () => versionCheck(services.upstreamOptions.clientVersion, env));
  yield await check("settings", () => settingsCheck(services, env));
  if (services.store) yield await check("store", () => storeCheck(services.store));
  if (hasTelemetryVariables(env)) yield await check("telemetry", (signal) => telemetryCheck(services, env, signal));
  yield await check("keys", async () => keysCheck(await keyPlace(settings, env)));
  yield login;
  yield await check("storage", () => (facts ? storageCheck(facts, services, authFile, stateDir) : skip("no login")));
  yield await check("proxy", () => proxyCheck(services, remote.urls, unreadProxies));
  yield await check("tls", () => tlsCheck(env));
  if (remote.service) yield await remote.service;
  yield await remote.token;
  yield* await remote.backend;
  yield await check("clock", () => clockCheck(remote.heard));
  yield await port;
  yield await gate;
}

/** Everything that asks somebody else, under way at once as far as one does not need the other. */
function startRemote(services: Services, cacheFile: string, facts: LoginFacts | undefined) {
  const { settings } = services;
  const isApiKey = facts?.kind === "api-key";
  const tokenUrl = settings.tokenUrl ?? `${settings.issuer}/oauth/token`;
  const heard: Heard[] = [];
  const hear = (news: Heard) => heard.push(news);
  const service = isApiKey
    ? undefined
    : check("sign-in", (signal) => serviceCheck(services, tokenUrl, hear, signal), {
        late: silence(services, tokenUrl),
      });
  const token = facts ? tokenFinding(services, facts, service, heard) : skipped("token", "no login");
  const backend = token.then((found) => backendFindings(services, cacheFile, facts, found, hear));
  return { urls: isApiKey ? [settings.openaiBaseUrl] : [tokenUrl, settings.baseUrl], heard, service, token, backend };
}

/** A token that is good needs no news of the clock; before one is spent the clock is heard. */
async function tokenFinding(
  services: Services,
  facts: LoginFacts,
  service: Promise<Finding> | undefined,
  heard: readonly Heard[],
): Promise<Finding> {
  const isEnding = facts.expiresAtMs !== undefined && facts.expiresAtMs - Date.now() < RENEWAL_MARGIN_MS;
  if (isEnding) await service;
  return check("token", () => tokenCheck(services, facts, clockOf(heard)), { limitMs: RENEWAL_MS });
}

/** Wider than the keeper's own, so that the clock is always known when it matters. */
const RENEWAL_MARGIN_MS = 10 * 60_000;

function clockOf([first]: readonly Heard[]): ClockOff | undefined {
  return first && { offMs: first.oursMs - first.theirsMs, host: first.host };
}

async function backendFindings(
  services: Services,
  cacheFile: string,
  facts: LoginFacts | undefined,
  token: Finding,
  hear: (heard: Heard) => void,
): Promise<Finding[]> {
  if (!facts || token.status === "fail") {
    return Promise.all(["backend", "models"].map((id) => skipped(id, "needs a login that works")));
  }
  const { baseUrl, openaiBaseUrl } = services.settings;
  if (facts.kind === "api-key") {
    const late = silence(services, openaiBaseUrl);
    return [await check("backend", (signal) => publicApiCheck(services, hear, signal), { late })];
  }
  const found: { models?: Models } = {};
  const keep = (models: Models) => (found.models = models);
  // A 401 there renews the login.
  const limits = { late: silence(services, baseUrl), leewayMs: RENEWAL_MS };
  const backend = await check("backend", (signal) => backendCheck(services, keep, hear, signal), limits);
  const { models } = found;
  const list = await check("models", async () =>
    models ? modelsCheck(services, models) : oldModels(await offlineCatalogue(cacheFile, services.settings.models)),
  );
  return [backend, list];
}

async function skipped(id: string, reason: string): Promise<Finding> {
  return { id, ...skip(reason) };
}

/** The same relay as `serve` would be, on a port of its own and for this machine only. */
export function ownRelay(services: Services): RunningRelay {
  return listen(onOwnPort(services));
}

/** Without a login: a relay asks for its models as soon as it starts, which may renew the login unseen. */
async function tryGate(services: Services): Promise<Outcome> {
  const relay = listenWithoutLogin(onOwnPort(services));
  try {
    return await gateCheck(relay, services);
  } finally {
    await relay.stop();
  }
}

function onOwnPort(services: Services): Services {
  return { ...services, settings: { ...services.settings, ...PLAIN, port: 0 } };
}
