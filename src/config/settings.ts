import type { z } from "zod";
import { REPOSITORY } from "../version.ts";
import {
  text,
  number,
  port,
  seconds,
  hosts,
  socketPath,
  url,
  choice,
  toggle,
  list,
  hostNames,
  origins,
  proxy,
  lite,
  aliases,
  originator,
  prices,
  trustedProxies,
  storePrefix,
  basePath,
  fallback,
  addr,
  percent,
  urlPath,
} from "./values.ts";

/** Everything about one setting: key, flags, variables, schema, default and help. */
export interface Setting {
  /** Key in the config file. */
  readonly key: string;
  /** First the name, then aliases; none for settings that only the environment brings. */
  readonly flags: readonly string[];
  /** In order of precedence; later names are those that users of earlier tools have set. */
  readonly env: readonly string[];
  /** Names that platforms for containers set; read last and only in the image, because shells set HOST as well. */
  readonly containerEnv?: readonly string[];
  /** Makes what a value is judged by: most settings are given by nobody, and a start makes no schema for them. */
  readonly schema: () => z.ZodType;
  /** What holds when nobody sets it. */
  readonly default: unknown;
  /** Words for a default that is worked out at start. */
  readonly defaultText?: string;
  readonly help: string;
  /** What a value looks like, for help; absent for switches. */
  readonly value?: string;
  /** A value that the schema takes, shown when another is refused; the default serves where it is plain. */
  readonly example?: string;
  /** Its value is never shown, and `<first name>_FILE` in the environment may name a file that holds it. */
  readonly isSecret?: boolean;
  /** May be given several times. */
  readonly isList?: boolean;
}

/**
 * Every setting of the relay. Default, flag, environment names, config key and help text come from here and nowhere
 * else; README's table is held against it by a test.
 */
export const SETTINGS = {
  host: {
    key: "host",
    flags: ["--host"],
    env: ["PLANSOCKET_HOST", "CODEX_PROXY_HOST"],
    containerEnv: ["HOST"],
    schema: hosts,
    default: ["127.0.0.1"],
    defaultText: "127.0.0.1",
    value: "ADDRESS",
    isList: true,
    example: "127.0.0.1",
    help: "address to listen on; off loopback an API key is required; repeatable",
  },
  port: {
    key: "port",
    flags: ["--port", "-p"],
    env: ["PLANSOCKET_PORT", "CODEX_PROXY_PORT"],
    containerEnv: ["PORT"],
    schema: port,
    default: 8787,
    value: "PORT",
    help: "port to listen on; 0 picks a free one",
  },
  addr: {
    key: "addr",
    flags: ["--addr"],
    env: [],
    schema: addr,
    default: undefined,
    value: "HOST:PORT",
    example: "127.0.0.1:8787",
    help: "host and port in one",
  },
  unix: {
    key: "unix",
    flags: ["--unix"],
    env: ["PLANSOCKET_UNIX"],
    schema: socketPath,
    default: undefined,
    value: "FILE",
    example: "~/.local/state/plansocket/relay.sock",
    help: "Unix socket to listen on instead of host and port, for programs of this user alone (0600)",
  },
  apiKey: {
    key: "api_key",
    flags: ["--api-key"],
    env: ["PLANSOCKET_API_KEY", "CODEX_PROXY_API_KEY", "PROXY_API_KEY"],
    schema: text,
    default: undefined,
    value: "KEY",
    isSecret: true,
    example: "a-long-random-text",
    help: "key that clients must send; better in the environment than on the command line",
  },
  proxy: {
    key: "proxy",
    flags: ["--proxy"],
    env: ["PLANSOCKET_PROXY", "CODEX_API_PROXY_HTTPS_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
    schema: proxy,
    default: undefined,
    value: "URL",
    isSecret: true,
    example: "http://proxy.example:3128",
    help: "HTTP or SOCKS5 proxy for everything that goes out; NO_PROXY is honored, loopback never uses it",
  },
  logLevel: {
    key: "log_level",
    flags: ["--log-level"],
    env: ["PLANSOCKET_LOG_LEVEL", "CODEX_PROXY_LOG_LEVEL"],
    schema: choice(["debug", "info", "warn", "error", "silent"], { warning: "warn" }),
    default: "info",
    value: "LEVEL",
    help: "debug, info, warn, error or silent; --debug is short for debug",
  },
  logFormat: {
    key: "log_format",
    flags: ["--log-format"],
    env: ["PLANSOCKET_LOG_FORMAT"],
    schema: choice(["pretty", "json"], { text: "pretty" }),
    default: undefined,
    defaultText: "pretty on a terminal, else json",
    value: "FORMAT",
    example: "json",
    help: "pretty or json (one object a line)",
  },
  instructions: {
    key: "instructions",
    flags: ["--instructions"],
    env: ["PLANSOCKET_INSTRUCTIONS"],
    schema: text,
    default: undefined,
    value: "TEXT",
    example: "Answer briefly.",
    help: "system text for requests that bring none",
  },
  models: {
    key: "models",
    flags: ["--models"],
    env: ["PLANSOCKET_MODELS", "CODEX_MODELS"],
    schema: list,
    default: undefined,
    defaultText: "the account's own list",
    value: "A,B",
    isList: true,
    example: "gpt-5.5,gpt-5.4",
    help: "models to list instead of the account's",
  },
  claudeModels: {
    key: "claude_models",
    flags: ["--claude-models"],
    env: ["PLANSOCKET_CLAUDE_MODELS"],
    schema: aliases,
    default: {},
    defaultText: "picked from the account's list",
    value: "NAME=MODEL",
    example: "opus=gpt-5.5",
    help: "models for Claude names or families: opus=MODEL,sonnet=MODEL,haiku=MODEL,claude-x=MODEL",
  },
  modelAliases: {
    key: "model_alias",
    flags: ["--model-alias"],
    env: ["PLANSOCKET_MODEL_ALIAS"],
    schema: aliases,
    default: {},
    value: "NAME=MODEL",
    isList: true,
    example: "fast=gpt-5.5",
    help: "another name for a model, on every route; repeatable",
  },
  baseUrl: {
    key: "base_url",
    flags: ["--base-url"],
    env: ["PLANSOCKET_BASE_URL", "CODEX_BASE_URL"],
    schema: url,
    default: "https://chatgpt.com/backend-api/codex",
    value: "URL",
    help: "the backend of ChatGPT logins",
  },
  responsesPath: {
    key: "responses_path",
    flags: ["--responses-path"],
    env: ["PLANSOCKET_RESPONSES_PATH", "CODEX_RESPONSES_PATH"],
    schema: urlPath,
    default: "/responses",
    value: "PATH",
    help: "path of the Responses endpoint below the base URL",
  },
  openaiBaseUrl: {
    key: "openai_base_url",
    flags: ["--openai-base-url"],
    env: ["PLANSOCKET_OPENAI_BASE_URL", "OPENAI_BASE_URL_UPSTREAM"],
    schema: url,
    default: "https://api.openai.com/v1",
    value: "URL",
    help: "the public API, for API-key logins",
  },
  authFile: {
    key: "auth_file",
    flags: ["--auth-file"],
    env: ["PLANSOCKET_AUTH_FILE"],
    schema: text,
    default: undefined,
    defaultText: "auth.json in CODEX_HOME or ~/.codex",
    value: "FILE",
    example: "~/.codex/auth.json",
    help: "login of the Codex CLI",
  },
  reasoning: {
    key: "reasoning",
    flags: ["--reasoning"],
    env: ["PLANSOCKET_REASONING"],
    schema: choice(["both", "reasoning_content", "reasoning", "think-tags", "none"]),
    default: "both",
    value: "MODE",
    help: "field for reasoning text in chat: both, reasoning_content, reasoning, think-tags or none",
  },
  strict: {
    key: "strict",
    flags: ["--strict"],
    env: ["PLANSOCKET_STRICT"],
    schema: toggle,
    default: false,
    example: "true",
    help: "refuse fields that would otherwise be dropped and named in a header",
  },
  corsOrigins: {
    key: "cors_origin",
    flags: ["--cors-origin"],
    env: ["PLANSOCKET_CORS_ORIGIN"],
    schema: origins,
    default: [],
    value: "ORIGIN",
    isList: true,
    example: "https://app.example",
    help: "web page that may call from a browser; repeatable",
  },
  allowHosts: {
    key: "allow_host",
    flags: ["--allow-host"],
    env: ["PLANSOCKET_ALLOW_HOST"],
    schema: hostNames,
    default: [],
    value: "NAME",
    isList: true,
    example: "relay.lan",
    help: "host name besides the loopback ones that clients may use; repeatable",
  },
  trustProxies: {
    key: "trust_proxy",
    flags: ["--trust-proxy"],
    env: ["PLANSOCKET_TRUST_PROXY"],
    schema: trustedProxies,
    default: [],
    value: "ADDRESS",
    isList: true,
    example: "10.0.0.0/8",
    help: "reverse proxy whose X-Forwarded-* headers are believed: an address, a block, loopback or private; repeatable",
  },
  basePath: {
    key: "base_path",
    flags: ["--base-path"],
    env: ["PLANSOCKET_BASE_PATH"],
    schema: basePath,
    default: undefined,
    value: "/PATH",
    example: "/relay",
    help: "path below which the relay answers, for a reverse proxy that does not take it off",
  },
  tlsCert: {
    key: "tls_cert",
    flags: ["--tls-cert"],
    env: ["PLANSOCKET_TLS_CERT"],
    schema: text,
    default: undefined,
    value: "FILE",
    example: "/etc/relay/tls.crt",
    help: "certificate (PEM, with its chain) to listen with TLS; read again on SIGHUP",
  },
  tlsKey: {
    key: "tls_key",
    flags: ["--tls-key"],
    env: ["PLANSOCKET_TLS_KEY"],
    schema: text,
    default: undefined,
    value: "FILE",
    example: "/etc/relay/tls.key",
    help: "private key of that certificate (PEM)",
  },
  clientVersion: {
    key: "client_version",
    flags: ["--client-version"],
    env: ["PLANSOCKET_CLIENT_VERSION"],
    schema: text,
    default: undefined,
    defaultText: "the larger of the Codex CLI's here and the newest known",
    value: "X.Y.Z",
    example: "0.171.0",
    help: "Codex CLI version to report to the backend; an old one gets fewer models",
  },
  originator: {
    key: "originator",
    flags: ["--originator"],
    env: ["PLANSOCKET_ORIGINATOR"],
    schema: originator,
    default: "codex_cli_rs",
    value: "NAME",
    help: "program name that the backend is told; some accounts get fewer models or tiers under other names",
  },
  cookies: {
    key: "cookies",
    flags: ["--cookies"],
    env: ["PLANSOCKET_COOKIES"],
    schema: choice(["on", "off"]),
    default: "on",
    value: "CHOICE",
    help: "send the load balancer's cookies back to chatgpt.com, as the Codex CLI does (on, off)",
  },
  transport: {
    key: "transport",
    flags: ["--transport"],
    env: ["PLANSOCKET_TRANSPORT"],
    schema: choice(["auto", "http", "websocket"]),
    default: "auto",
    value: "auto|http|websocket",
    help: "way to the backend: auto opens a WebSocket with a conversation's second request",
  },
  lite: {
    key: "lite",
    flags: ["--lite"],
    env: ["PLANSOCKET_LITE"],
    schema: lite,
    default: { default: "auto", models: {} },
    defaultText: "auto",
    value: "CHOICE",
    example: "auto",
    help: "request form: auto (full, Lite where that is refused), on, off, or MODEL=on|off",
  },
  maxBodyMib: {
    key: "max_body_mib",
    flags: ["--max-body-mib"],
    env: ["PLANSOCKET_MAX_BODY_MIB"],
    schema: number({ least: 0, most: 1024, isAbove: true }),
    default: 64,
    value: "MIB",
    help: "largest request body",
  },
  maxRequests: {
    key: "max_requests",
    flags: ["--max-requests"],
    env: ["PLANSOCKET_MAX_REQUESTS"],
    schema: number({ least: 1, most: 100_000, isWhole: true }),
    default: 2000,
    value: "N",
    help: "requests at once; more get 503 with Retry-After",
  },
  stopAt: {
    key: "stop_at",
    flags: ["--stop-at"],
    env: ["PLANSOCKET_STOP_AT"],
    schema: percent,
    default: undefined,
    value: "PERCENT",
    example: "90",
    help: "refuse requests once this much of a plan window is used, until it resets",
  },
  fallback: {
    key: "fallback",
    flags: ["--fallback"],
    env: ["PLANSOCKET_FALLBACK"],
    schema: fallback,
    default: "off",
    value: "CHOICE",
    example: "reserve",
    help: "past a limit of the plan: off, reserve (Luna Reserve), another MODEL of the plan, or api-key (costs money)",
  },
  fallbackApiKey: {
    key: "fallback_api_key",
    flags: [],
    env: ["PLANSOCKET_FALLBACK_API_KEY"],
    schema: text,
    default: undefined,
    value: "KEY",
    isSecret: true,
    example: "sk-…",
    help: "API key of the public API that pays with --fallback api-key",
  },
  store: {
    key: "store",
    flags: ["--store"],
    env: ["PLANSOCKET_STORE"],
    schema: text,
    default: undefined,
    value: "URL",
    isSecret: true,
    example: "rediss://USER:PASSWORD@valkey.internal:6379/0",
    help: "Valkey or Redis through which replicas share login, stored responses, keys and counts",
  },
  storeKey: {
    key: "store_key",
    flags: [],
    env: ["PLANSOCKET_STORE_KEY"],
    schema: text,
    default: undefined,
    value: "KEY",
    isSecret: true,
    example: "from `openssl rand -base64 32`",
    help: "32 bytes in base64 or hex that encrypt what --store holds; NEW,OLD while the key is changed",
  },
  storePrefix: {
    key: "store_prefix",
    flags: ["--store-prefix"],
    env: ["PLANSOCKET_STORE_PREFIX"],
    schema: storePrefix,
    default: "plansocket",
    value: "NAME",
    help: "beginning of every key in the store; relays with another login need another one",
  },
  storeBudgets: {
    key: "store_budgets",
    flags: ["--store-budgets"],
    env: ["PLANSOCKET_STORE_BUDGETS"],
    schema: choice(["closed", "open"]),
    default: "closed",
    value: "closed|open",
    help: "while the store is away, refuse keys with limits (closed) or let them in uncounted (open)",
  },
  ledger: {
    key: "ledger",
    flags: ["--ledger"],
    env: ["PLANSOCKET_LEDGER"],
    schema: choice(["on", "off"], { true: "on", yes: "on", false: "off", no: "off" }),
    default: "on",
    value: "on|off",
    help: "count requests and tokens by hour, model, client and key in the state folder; never what was asked",
  },
  ledgerDays: {
    key: "ledger_days",
    flags: ["--ledger-days"],
    env: ["PLANSOCKET_LEDGER_DAYS"],
    schema: number({ least: 1, most: 3660, isWhole: true }),
    default: 400,
    value: "DAYS",
    help: "how long those counts are kept",
  },
  prices: {
    key: "prices",
    flags: [],
    env: ["PLANSOCKET_PRICES"],
    schema: prices,
    default: {},
    value: "JSON",
    example: '{"gpt-5.5": {"input": 1.25, "cached": 0.125, "output": 10}}',
    help: "your own prices by model for a million tokens each, for list prices beside the counts",
  },
  firstByteTimeout: {
    key: "first_byte_timeout",
    flags: ["--first-byte-timeout"],
    env: ["PLANSOCKET_FIRST_BYTE_TIMEOUT"],
    schema: seconds,
    default: 60,
    value: "SECONDS",
    help: "longest wait for the first byte of an answer",
  },
  idleTimeout: {
    key: "idle_timeout",
    flags: ["--idle-timeout"],
    env: ["PLANSOCKET_IDLE_TIMEOUT"],
    schema: seconds,
    default: 300,
    value: "SECONDS",
    help: "longest silence inside an answer",
  },
  keepAlive: {
    key: "keep_alive",
    flags: ["--keep-alive"],
    env: ["PLANSOCKET_KEEP_ALIVE"],
    schema: seconds,
    default: 15,
    value: "SECONDS",
    help: "silence after which a stream gets a comment",
  },
  stopDelay: {
    key: "stop_delay",
    flags: ["--stop-delay"],
    env: ["PLANSOCKET_STOP_DELAY"],
    schema: number({ least: 0, most: 3600 }),
    default: 0,
    value: "SECONDS",
    help: "after SIGTERM, how long all is still answered while /ready already fails, so that load balancers go elsewhere",
  },
  drainTimeout: {
    key: "drain_timeout",
    flags: ["--drain-timeout"],
    env: ["PLANSOCKET_DRAIN_TIMEOUT"],
    schema: number({ least: 0, most: 3600 }),
    default: 30,
    value: "SECONDS",
    help: "at a stop, how long running requests may go on before they are cut",
  },
  stateDir: {
    key: "state_dir",
    flags: ["--state-dir"],
    env: ["PLANSOCKET_STATE_DIR"],
    schema: text,
    default: undefined,
    defaultText: "plansocket in XDG_STATE_HOME or ~/.local/state",
    value: "FOLDER",
    example: "~/.local/state/plansocket",
    help: "folder for renewed environment tokens, setup's backups and the background relay's files",
  },
  pidFile: {
    key: "pid_file",
    flags: ["--pid-file"],
    env: ["PLANSOCKET_PID_FILE"],
    schema: text,
    default: undefined,
    defaultText: "plansocket.pid in the state folder",
    value: "FILE",
    example: "~/plansocket.pid",
    help: "process id of the background relay",
  },
  logFile: {
    key: "log_file",
    flags: ["--log-file"],
    env: ["PLANSOCKET_LOG_FILE"],
    schema: text,
    default: undefined,
    defaultText: "plansocket.log in the state folder",
    value: "FILE",
    example: "~/plansocket.log",
    help: "log of the background relay; rotated at 10 MiB, three older files are kept",
  },
  stateFile: {
    key: "state_file",
    flags: ["--state-file"],
    env: ["PLANSOCKET_STATE_FILE"],
    schema: text,
    default: undefined,
    defaultText: "background.json in the state folder",
    value: "FILE",
    example: "~/background.json",
    help: "what `status` and `restart` read about the background relay",
  },
  releasesUrl: {
    key: "releases_url",
    flags: [],
    env: ["PLANSOCKET_RELEASES_URL"],
    schema: url,
    default: REPOSITORY === "" ? undefined : `${REPOSITORY}/releases`,
    defaultText: "the releases of the repository that built it",
    value: "URL",
    example: "https://mirror.example/releases",
    help: "where `update` and install.sh look for releases; for mirrors",
  },
  tokenUrl: {
    key: "token_url",
    flags: [],
    env: ["CODEX_REFRESH_TOKEN_URL_OVERRIDE"],
    schema: url,
    default: undefined,
    defaultText: "ISSUER/oauth/token",
    value: "URL",
    example: "https://auth.openai.com/oauth/token",
    help: "where tokens are renewed",
  },
  revokeUrl: {
    key: "revoke_url",
    flags: [],
    env: ["CODEX_REVOKE_TOKEN_URL_OVERRIDE"],
    schema: url,
    default: undefined,
    defaultText: "ISSUER/oauth/revoke",
    value: "URL",
    example: "https://auth.openai.com/oauth/revoke",
    help: "where `logout` ends a login",
  },
  issuer: {
    key: "issuer",
    flags: [],
    env: ["PLANSOCKET_ISSUER"],
    schema: url,
    default: "https://auth.openai.com",
    value: "URL",
    help: "the login service",
  },
  authApiUrl: {
    key: "auth_api_url",
    flags: [],
    env: ["CODEX_AUTHAPI_BASE_URL"],
    schema: url,
    default: undefined,
    defaultText: "ISSUER",
    value: "URL",
    example: "https://auth.example.com",
    help: "the service that knows personal access tokens",
  },
  clientId: {
    key: "client_id",
    flags: [],
    env: ["CODEX_APP_SERVER_LOGIN_CLIENT_ID"],
    schema: text,
    default: "app_EMoamEEZ73f0CkXaXp7hrann",
    value: "ID",
    help: "the Codex CLI's public client id",
  },
} as const satisfies Record<string, Setting>;

/** The default in words; "" where there is none or it is off. */
export function defaultText(setting: Setting): string {
  if (setting.defaultText !== undefined) return setting.defaultText;
  const value = setting.default;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** Every name in the environment that sets it, strongest first; secrets may also come from a file. */
export function environmentNames(setting: Setting): string[] {
  const [first, ...others] = setting.env;
  if (first === undefined) return [];
  return setting.isSecret ? [first, `${first}_FILE`, ...others] : [...setting.env];
}

/** True for settings whose value is a file or a folder. */
export function isPath(setting: Setting): boolean {
  return setting.value === "FILE" || setting.value === "FOLDER";
}

export type SettingName = keyof typeof SETTINGS;

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS).filter(isSettingName);

/** Every setting under its name. */
export function settingEntries(): [SettingName, Setting][] {
  return SETTING_NAMES.map((name) => [name, SETTINGS[name]]);
}

type Optional =
  | "addr"
  | "unix"
  | "apiKey"
  | "proxy"
  | "logFormat"
  | "instructions"
  | "models"
  | "authFile"
  | "clientVersion"
  | "stateDir"
  | "pidFile"
  | "logFile"
  | "stateFile"
  | "stopAt"
  | "basePath"
  | "tlsCert"
  | "tlsKey"
  | "fallbackApiKey"
  | "store"
  | "storeKey"
  | "releasesUrl"
  | "tokenUrl"
  | "authApiUrl"
  | "revokeUrl";

/** Values of all settings; those without a default may be undefined. */
export type Settings = {
  readonly [Name in SettingName]: Name extends Optional
    ? z.output<ReturnType<(typeof SETTINGS)[Name]["schema"]>> | undefined
    : z.output<ReturnType<(typeof SETTINGS)[Name]["schema"]>>;
};
