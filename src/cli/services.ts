import { join } from "node:path";
import type { CredentialProvider } from "../auth/credentials.ts";
import { openCredentials } from "../auth/index.ts";
import type { CredentialKeeper } from "../auth/keeper.ts";
import { effectiveClientVersion } from "../config/client-version.ts";
import { loadSettings, type FlagValues, type Judgment, type Loaded } from "../config/load.ts";
import { authFile, codexHome, stateFolder } from "../config/paths.ts";
import type { Settings } from "../config/settings.ts";
import { KeyFile, keysPath } from "../keys/key-file.ts";
import type { KeyBudgets } from "../keys/budgets.ts";
import { KeyRing, LOOK_MS } from "../keys/key-ring.ts";
import { takeOpenCode } from "../keys/open-code.ts";
import { LocalBudgets } from "../keys/local-budgets.ts";
import { UsageFile, usagePath } from "../keys/usage-file.ts";
import { RelayError } from "../lib/errors.ts";
import type { Environment } from "../lib/environment.ts";
import type { Log } from "../lib/log.ts";
import { ledgerPath } from "../ledger/file.ts";
import { Ledger, type Counts } from "../ledger/ledger.ts";
import type { RelayOptions } from "../server/options.ts";
import { failedAddress } from "../server/listeners.ts";
import { startRelay, type RunningRelay } from "../server/serve.ts";
import { takeSocketPlace } from "../server/unix-socket.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { UpstreamClient } from "../upstream/client.ts";
import { openEgress, type Egress } from "../upstream/egress.ts";
import type { FallbackChoice, LiveUpstreamOptions, UpstreamOptions } from "../upstream/options.ts";
import { BACKGROUND_VARIABLE } from "./background/explicit-settings.ts";
import { mostRequests } from "./fetch-limit.ts";
import { listenFailure } from "./listen-failure.ts";
import { addressOf } from "./own-relay.ts";
import { createLog, warnOfText, type AdjustableLog } from "./log.ts";
import { deferSignals } from "./defer-signals.ts";
import { openStore, type SharedStore } from "./store.ts";
import { isStderrTerminal } from "./streams.ts";

/** Everything that a command needs to talk to upstream. */
export interface Services extends Loaded {
  readonly log: Log & Partial<Pick<AdjustableLog, "adjust">>;
  /** The settings as they are by now, by the same flags and environment. Throws `usage`. */
  readonly reread: () => Promise<Settings>;
  readonly egress: Egress;
  readonly credentials: CredentialKeeper;
  readonly upstream: UpstreamClient;
  /** What this relay shares with others; undefined for one of its own. */
  readonly store: SharedStore | undefined;
  /** What `upstream` was made with. */
  readonly upstreamOptions: UpstreamOptions;
}

/** How long a reply's status may be held back: long enough for early failures, too short for a client to give up. */
const HOLD_MS = 8000;

/**
 * Settings → log, egress, login, upstream. `over` replaces what the environment says (the demo brings its own) and says
 * which settings are judged; without a judgment all are. Throws `usage`.
 */
export async function openServices(
  flags: FlagValues,
  env: Record<string, string | undefined>,
  over: { settings?: Partial<Settings>; tokens?: Record<string, string>; log?: Log; judgment?: Judgment } = {},
): Promise<Services> {
  // A copy: proxy variables are taken out of the process's own environment below.
  const environment = { ...env };
  const loaded = await loadSettings(flags, environment, over.judgment);
  const overridden = (settings: Settings) => ({ ...settings, ...over.settings });
  const settings = overridden(loaded.settings);
  // A relay that runs keeps its settings when the file breaks.
  const strictly = over.judgment && { needs: over.judgment.needs };
  const reread = async () => overridden((await loadSettings(flags, environment, strictly)).settings);
  const format = settings.logFormat ?? (isStderrTerminal() ? "pretty" : "json");
  const log = over.log ?? (await createLog({ level: settings.logLevel, format, secrets: secretsOf(settings) }));
  for (const { message, fix } of loaded.warnings) log.warn(fix === undefined ? message : `${message} ${fix}`);
  const egress = openEgress(settings.proxy, env);
  // The demo's login is nobody's.
  const store = over.tokens ? undefined : await openStore(settings, env, log);
  const credentials = openCredentials({
    env: over.tokens ?? env,
    authFile: authFile(env, settings),
    isAuthFileNamed: settings.authFile !== undefined,
    stateDir: stateFolder(env, settings),
    tokenUrl: settings.tokenUrl ?? `${settings.issuer}/oauth/token`,
    clientId: settings.clientId,
    authApiUrl: settings.authApiUrl ?? settings.issuer,
    fetch: egress.fetch,
    proxyFor: (url) => egress.proxyFor(url),
    log,
    share: store && ((first) => store.login(first)),
    onSpending: deferSignals,
  });
  const upstreamOptions = await upstreamOptionsOf(settings, env);
  const upstream = new UpstreamClient({
    options: upstreamOptions,
    credentials,
    egress,
    log,
    learned: store?.learned(),
  });
  return {
    settings,
    origins: loaded.origins,
    warnings: loaded.warnings,
    log,
    reread,
    egress,
    credentials,
    upstream,
    store,
    upstreamOptions,
  };
}

async function upstreamOptionsOf(
  settings: Settings,
  env: Record<string, string | undefined>,
): Promise<UpstreamOptions> {
  const home = codexHome(env);
  return {
    baseUrl: settings.baseUrl,
    responsesPath: settings.responsesPath,
    openaiBaseUrl: settings.openaiBaseUrl,
    clientVersion: settings.clientVersion ?? (await effectiveClientVersion(home, env["PATH"] ?? "")),
    originator: settings.originator,
    cookies: settings.cookies,
    holdMs: HOLD_MS,
    modelsCacheFile: join(home, "models_cache.json"),
    ...liveUpstreamOptions(settings),
  };
}

/** The part that may change while the relay runs. */
export function liveUpstreamOptions(settings: Settings): LiveUpstreamOptions {
  return {
    lite: settings.lite,
    transport: settings.transport,
    firstByteTimeoutMs: settings.firstByteTimeout * 1000,
    idleTimeoutMs: settings.idleTimeout * 1000,
    models: settings.models,
    stopAtPercent: settings.stopAt,
    fallback: fallbackOf(settings),
  };
}

function fallbackOf({ fallback, fallbackApiKey: apiKey }: Settings): FallbackChoice | undefined {
  if (fallback === "off") return undefined;
  if (fallback === "reserve") return { kind: "reserve" };
  if (fallback !== "api-key") return { kind: "model", model: fallback };
  return apiKey === undefined ? undefined : { kind: "api-key", apiKey };
}

/** For commands that serve: refuses a fallback without the key that pays for it. Throws `usage`. */
export function checkFallback({ fallback, fallbackApiKey }: Settings): void {
  if (fallback !== "api-key" || fallbackApiKey !== undefined) return;
  throw new RelayError("usage", "--fallback api-key needs the key that pays.", {
    hint: "Set PLANSOCKET_FALLBACK_API_KEY, or PLANSOCKET_FALLBACK_API_KEY_FILE, to an API key of the public API.",
  });
}

/** What no log line may hold. */
export function secretsOf(settings: Settings): (string | undefined)[] {
  return [settings.apiKey, settings.proxy, settings.fallbackApiKey, settings.store, settings.storeKey];
}

/** The same, and where it cannot listen the failure names who holds the port. */
export async function listenOrExplain(
  services: Services,
  keys: ClientKeys,
  watchers: { readonly ledger?: Counts | undefined; readonly telemetry?: Telemetry | undefined } = {},
): Promise<RunningRelay> {
  // What does not go together is told before anything is touched.
  const { unix } = relayOptions(services.settings);
  const release = unix === undefined ? undefined : await takeSocketPlace(unix);
  try {
    return listen(services, { keys, ...watchers });
  } catch (error) {
    const failed = failedAddress(error);
    throw failed ? await listenFailure(failed, failed.code, error) : error;
  } finally {
    await release?.();
  }
}

/** The clients' keys, and what they have used. */
export interface ClientKeys {
  readonly ring: KeyRing;
  readonly budgets: KeyBudgets;
  /** Resolves when the list was read, or could not be. */
  readonly looked: Promise<void>;
}

/**
 * The clients' keys of these settings, in the state folder or in the store that replicas share; relays that serve one
 * command alone have none.
 */
export function openKeys({ settings, log, store }: Pick<Services, "settings" | "log" | "store">): ClientKeys {
  if (store) {
    const stored = store.keys();
    const looked = stored.load().then(
      () => {},
      () => {},
    );
    return { ring: new KeyRing(stored, log), budgets: store.budgets(), looked };
  }
  const folder = stateFolder(process.env, settings);
  const ring = new KeyRing(new KeyFile(keysPath(folder)), log, Date.now, LOOK_MS);
  const budgets = new LocalBudgets({ file: new UsageFile(usagePath(folder)), log });
  return { ring, budgets, looked: Promise.resolve() };
}

/** Counts what is used, in the state folder unless another one is named, or in the store; undefined with `--ledger off`. */
export function openLedger(
  { settings, log, store }: Pick<Services, "settings" | "log" | "store">,
  folder = stateFolder(process.env, settings),
): Counts | undefined {
  if (settings.ledger === "off") return undefined;
  if (store) return store.ledger(settings.ledgerDays);
  return new Ledger({ path: ledgerPath(folder), days: settings.ledgerDays, log });
}

/** Starts listening. Throws `start_failed`, and `usage` for settings that do not go together. */
export function listen(
  { settings, upstream, credentials, store, log }: Services,
  {
    keys,
    apiKeyName,
    ledger,
    telemetry,
  }: { keys?: ClientKeys; apiKeyName?: string; ledger?: Counts | undefined; telemetry?: Telemetry | undefined } = {},
): RunningRelay {
  checkFallback(settings);
  warnOfText(log);
  const instanceId = process.env[BACKGROUND_VARIABLE];
  const options = { ...relayOptions(settings), ...(apiKeyName === undefined ? {} : { apiKeyName }) };
  const folder = stateFolder(process.env, settings);
  const ofOwner = keys
    ? { keys: keys.ring, budgets: keys.budgets, takeOpenCode: (code: string) => takeOpenCode(folder, code) }
    : {};
  const counting = ledger ?? openLedger({ settings, log, store });
  const sharing = store ? { store: store.connection, share: store.responses } : {};
  const watching = { ledger: counting, telemetry };
  return startRelay({ options, upstream, credentials, log, instanceId, ...watching, ...sharing, ...ofOwner });
}

/** Whether the environment may ask for telemetry. */
export function hasTelemetryVariables(env: Environment): boolean {
  return Object.keys(env).some((name) => name.startsWith("OTEL_"));
}

/** Traces and metrics where OpenTelemetry's variables ask for them: without one nothing of it is even loaded. */
export async function openTelemetry(
  { egress, log }: Pick<Services, "egress" | "log">,
  env: Environment,
): Promise<Telemetry | undefined> {
  if (!hasTelemetryVariables(env)) return undefined;
  const telemetry = await import("../telemetry/index.ts");
  return telemetry.openTelemetry(env, { fetch: egress.fetch, log });
}

/** Over what for others stand in its way: a relay that serves one command speaks plain HTTP at the root, on loopback. */
export const PLAIN = {
  host: ["127.0.0.1"] as string[],
  addr: undefined,
  unix: undefined,
  tlsCert: undefined,
  tlsKey: undefined,
  basePath: undefined,
  trustProxies: [] as string[],
};

/** The same, with nobody's login: it answers at the door, and asks upstream nothing. Throws `start_failed`. */
export function listenWithoutLogin({ settings, upstreamOptions, egress, log }: Services): RunningRelay {
  const nobody = () => Promise.reject(new RelayError("codex_auth_required", "This relay has no login."));
  const credentials: CredentialProvider = { current: nobody, recover: nobody };
  const upstream = new UpstreamClient({ options: upstreamOptions, credentials, egress, log });
  return startRelay({ options: relayOptions(settings), upstream, credentials, log });
}

function tlsOf({ tlsCert, tlsKey, unix }: Settings): Pick<RelayOptions, "tls"> {
  if (tlsCert === undefined && tlsKey === undefined) return {};
  if (unix !== undefined) {
    throw new RelayError("usage", "--unix and --tls-cert do not go together.", {
      hint: "A socket is for this user's programs alone; leave TLS to whoever listens on the network.",
    });
  }
  if (tlsCert !== undefined && tlsKey !== undefined) return { tls: { cert: tlsCert, key: tlsKey } };
  const [given, missing] = tlsCert === undefined ? ["--tls-key", "--tls-cert"] : ["--tls-cert", "--tls-key"];
  throw new RelayError("usage", `${given} needs ${missing} beside it.`, {
    hint: "TLS takes a certificate and its key.",
  });
}

/** Settings of the listening side. Throws `usage` for those that do not go together. */
export function relayOptions(settings: Settings): RelayOptions {
  return {
    ...addressOf(settings),
    apiKey: settings.apiKey,
    allowHosts: settings.allowHosts,
    corsOrigins: settings.corsOrigins,
    trustProxies: settings.trustProxies,
    ...(settings.basePath === undefined ? {} : { basePath: settings.basePath }),
    ...tlsOf(settings),
    strict: settings.strict,
    reasoning: settings.reasoning,
    instructions: settings.instructions ?? "",
    modelAliases: { ...settings.claudeModels, ...settings.modelAliases },
    maxBodyBytes: Math.floor(settings.maxBodyMib * 1024 * 1024),
    maxRequests: Math.min(settings.maxRequests, mostRequests(process.env)),
    keepAliveMs: settings.keepAlive * 1000,
    prices: settings.prices,
  };
}
