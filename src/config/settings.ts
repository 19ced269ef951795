import { z } from "zod";
import { REPOSITORY } from "../version.ts";

/** One setting: everything that is known about it, once. */
export interface Setting {
  /** Key in the config file. */
  readonly key: string;
  /** First the name, then aliases; none for settings that only the environment brings. */
  readonly flags: readonly string[];
  /** In order of precedence; later names are those that users of earlier tools have set. */
  readonly env: readonly string[];
  /** Names that platforms for containers set; read last and only in the image, because shells set HOST as well. */
  readonly containerEnv?: readonly string[];
  readonly schema: z.ZodType;
  /** Shown in help and README; the default itself is in the schema's place below. */
  readonly default: unknown;
  /** What stands there when the default is worked out at start. */
  readonly defaultText?: string;
  readonly help: string;
  /** What a value looks like, for help; absent for switches. */
  readonly value?: string;
  /** Its value is never shown. */
  readonly isSecret?: boolean;
  /** May be given several times. */
  readonly isList?: boolean;
}

const text = z.string().trim().min(1);
/** A number, or text that is one. Not z.coerce: that takes "" for 0 and true for 1. */
const number = (schema: z.ZodNumber) =>
  z.preprocess((value) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value), schema);
const port = number(z.number().int().min(0).max(65_535));
const seconds = number(z.number().positive().max(86_400));
const host = text.transform((value) => value.replace(/^\[(.*)\]$/, "$1"));
const url = text
  .refine((value) => /^https?:\/\/[^/\s]+/.test(value), "must begin with http:// or https://")
  .transform((value) => value.replace(/\/+$/, ""));
const choice = <const T extends readonly [string, ...string[]]>(values: T) => z.enum(values);
/** A choice in any case, and under the words that other tools have for it. */
const wordChoice = <const T extends readonly [string, ...string[]]>(
  values: T,
  others: Readonly<Record<string, string>>,
) =>
  z.preprocess((value) => {
    const word = typeof value === "string" ? value.trim().toLowerCase() : value;
    return typeof word === "string" ? (others[word] ?? word) : word;
  }, z.enum(values));
const toggle = z.preprocess((value) => {
  if (value === true || /^(1|true|yes|on)$/i.test(String(value))) return true;
  return value === false || /^(0|false|no|off)$/i.test(String(value)) ? false : value;
}, z.boolean());
const list = z.preprocess(
  (value) =>
    [value]
      .flat()
      .flatMap((entry) => (typeof entry === "string" ? entry.split(",") : [entry]))
      .map((entry) => (typeof entry === "string" ? entry.trim() : entry))
      .filter((entry) => entry !== ""),
  z.array(z.string()),
);
const proxy = text.superRefine((value, context) => {
  if (/^socks/i.test(value))
    context.addIssue({ code: "custom", message: "SOCKS proxies are not supported; use an HTTP proxy" });
  else if (!/^https?:\/\/[^/\s]+/.test(value))
    context.addIssue({ code: "custom", message: "must be like http://host:port" });
});

/** `auto`, `on`, `off`, or single models as `gpt-x=off`; several separated by commas. */
const lite = text.transform((value, context) => {
  const choice = { default: "auto" as "auto" | "on" | "off", models: {} as Record<string, "on" | "off"> };
  for (const part of value.split(",").map((entry) => entry.trim())) {
    const single = /^([^=\s]+)=(on|off)$/.exec(part);
    if (single?.[1] !== undefined) choice.models[single[1]] = single[2] as "on" | "off";
    else if (part === "auto" || part === "on" || part === "off") choice.default = part;
    else context.addIssue({ code: "custom", message: "must be auto, on, off or MODEL=on|off" });
  }
  return choice;
});

/** `fast=gpt-x,claude-y=gpt-z`: names that clients may use, and the model that each stands for. */
const aliases = list.transform((parts, context) => {
  const models: Record<string, string> = {};
  for (const part of parts) {
    const pair = /^([^=\s]+)=([^=\s]+)$/.exec(part);
    if (pair?.[1] === undefined || pair[2] === undefined)
      context.addIssue({ code: "custom", message: "must be NAME=MODEL" });
    else models[pair[1].toLowerCase()] = pair[2];
  }
  return models;
});

const addr = text.transform((value, context) => {
  const match = /^(\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(value);
  if (!match) context.addIssue({ code: "custom", message: "must be like HOST:PORT" });
  else if (Number(match[2]) > 65_535) context.addIssue({ code: "custom", message: "has a port above 65535" });
  return { host: (match?.[1] ?? "").replace(/^\[|\]$/g, ""), port: Number(match?.[2]) };
});

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
    schema: host,
    default: "127.0.0.1",
    value: "ADDRESS",
    help: "address to listen on; off loopback an API key is required",
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
    help: "host and port in one",
  },
  apiKey: {
    key: "api_key",
    flags: ["--api-key"],
    env: ["PLANSOCKET_API_KEY", "CODEX_PROXY_API_KEY", "PROXY_API_KEY"],
    schema: text,
    default: undefined,
    value: "KEY",
    isSecret: true,
    help: "key that clients must send; better in the environment than on the command line",
  },
  proxy: {
    key: "proxy",
    flags: ["--proxy"],
    env: ["PLANSOCKET_PROXY", "CODEX_API_PROXY_HTTPS_PROXY", "HTTPS_PROXY", "https_proxy"],
    schema: proxy,
    default: undefined,
    value: "URL",
    isSecret: true,
    help: "HTTP proxy for everything that goes out; NO_PROXY is honoured, loopback never uses it",
  },
  logLevel: {
    key: "log_level",
    flags: ["--log-level"],
    env: ["PLANSOCKET_LOG_LEVEL", "CODEX_PROXY_LOG_LEVEL"],
    schema: wordChoice(["debug", "info", "warn", "error", "silent"], { warning: "warn" }),
    default: "info",
    value: "LEVEL",
    help: "debug, info, warn, error or silent; --debug is short for debug",
  },
  logFormat: {
    key: "log_format",
    flags: ["--log-format"],
    env: ["PLANSOCKET_LOG_FORMAT"],
    schema: wordChoice(["pretty", "json"], { text: "pretty" }),
    default: undefined,
    defaultText: "pretty on a terminal, else json",
    value: "FORMAT",
    help: "pretty or json (one object a line)",
  },
  instructions: {
    key: "instructions",
    flags: ["--instructions"],
    env: ["PLANSOCKET_INSTRUCTIONS"],
    schema: text,
    default: undefined,
    value: "TEXT",
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
    schema: text.refine((value) => value.startsWith("/"), "must begin with /"),
    default: "/responses",
    value: "PATH",
    help: "path of the backend's one endpoint",
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
    help: "refuse fields that would otherwise be dropped and named in a header",
  },
  corsOrigins: {
    key: "cors_origin",
    flags: ["--cors-origin"],
    env: ["PLANSOCKET_CORS_ORIGIN"],
    schema: list,
    default: [],
    value: "ORIGIN",
    isList: true,
    help: "web page that may call from a browser; repeatable",
  },
  allowHosts: {
    key: "allow_host",
    flags: ["--allow-host"],
    env: ["PLANSOCKET_ALLOW_HOST"],
    schema: list,
    default: [],
    value: "NAME",
    isList: true,
    help: "host name besides the loopback ones that clients may use; repeatable",
  },
  clientVersion: {
    key: "client_version",
    flags: ["--client-version"],
    env: ["PLANSOCKET_CLIENT_VERSION"],
    schema: text,
    default: undefined,
    defaultText: "that of the Codex CLI here, else the newest known",
    value: "X.Y.Z",
    help: "Codex CLI version to speak as; too old a one loses models",
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
    help: "request form: auto (full, Lite where that is refused), on, off, or MODEL=on|off",
  },
  maxBodyMib: {
    key: "max_body_mib",
    flags: ["--max-body-mib"],
    env: ["PLANSOCKET_MAX_BODY_MIB"],
    schema: number(z.number().positive().max(1024)),
    default: 64,
    value: "MIB",
    help: "largest request body",
  },
  maxRequests: {
    key: "max_requests",
    flags: ["--max-requests"],
    env: ["PLANSOCKET_MAX_REQUESTS"],
    schema: number(z.number().int().min(1).max(100_000)),
    default: 2000,
    value: "N",
    help: "requests at once; one more is told to come again",
  },
  stopAt: {
    key: "stop_at",
    flags: ["--stop-at"],
    env: ["PLANSOCKET_STOP_AT"],
    schema: z.preprocess(
      (value) => (typeof value === "string" ? value.replace(/\s*%$/, "") : value),
      number(z.number().min(1).max(100)),
    ),
    default: undefined,
    value: "PERCENT",
    help: "refuse requests once a window of the plan is used this far, until it resets",
  },
  firstByteTimeout: {
    key: "first_byte_timeout",
    flags: ["--first-byte-timeout"],
    env: ["PLANSOCKET_FIRST_BYTE_TIMEOUT"],
    schema: seconds,
    default: 60,
    value: "SECONDS",
    help: "longest wait for the backend to begin",
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
  stateDir: {
    key: "state_dir",
    flags: ["--state-dir"],
    env: ["PLANSOCKET_STATE_DIR"],
    schema: text,
    default: undefined,
    defaultText: "plansocket in XDG_STATE_HOME or ~/.local/state",
    value: "FOLDER",
    help: "where rotated environment tokens, setup's copies and the background relay's files are kept",
  },
  pidFile: {
    key: "pid_file",
    flags: ["--pid-file"],
    env: ["PLANSOCKET_PID_FILE"],
    schema: text,
    default: undefined,
    defaultText: "plansocket.pid in the state folder",
    value: "FILE",
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
    help: "log of the background relay; rotated at 10 MiB, three older ones stay",
  },
  stateFile: {
    key: "state_file",
    flags: ["--state-file"],
    env: ["PLANSOCKET_STATE_FILE"],
    schema: text,
    default: undefined,
    defaultText: "background.json in the state folder",
    value: "FILE",
    help: "what `status` and `restart` know about the background relay",
  },
  releasesUrl: {
    key: "releases_url",
    flags: [],
    env: ["PLANSOCKET_RELEASES_URL"],
    schema: url,
    default: REPOSITORY === "" ? undefined : `${REPOSITORY}/releases`,
    defaultText: "the releases of the repository that built it",
    value: "URL",
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

export type SettingName = keyof typeof SETTINGS;

type Optional =
  | "addr"
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
  | "releasesUrl"
  | "tokenUrl"
  | "revokeUrl";

/** Values of all settings; those without a default may be undefined. */
export type Settings = {
  readonly [Name in SettingName]: Name extends Optional
    ? z.output<(typeof SETTINGS)[Name]["schema"]> | undefined
    : z.output<(typeof SETTINGS)[Name]["schema"]>;
};
