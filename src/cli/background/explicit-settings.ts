import type { Environment } from "../../lib/environment.ts";
import { resolve } from "node:path";
import { TOKEN_VARIABLES } from "../../auth/sources/environment.ts";
import type { FlagValues, Loaded } from "../../config/load.ts";
import {
  environmentNames,
  isPath,
  SETTINGS,
  type Setting,
  type SettingName,
  settingEntries,
} from "../../config/settings.ts";
import { expandTilde } from "../../lib/home.ts";
import { FETCH_LIMIT } from "../fetch-limit.ts";

/** Settings that were given by flag or environment, as text that the environment can carry, and where they came from. */
export type ExplicitSettings = Readonly<
  Partial<Record<SettingName, { readonly value: string; readonly origin: string }>>
>;

/** Says to the child that it runs in the background, and which instance it is. */
export const BACKGROUND_VARIABLE = "PLANSOCKET_BACKGROUND";

/** Not settings of the relay, but they change what it does; a restart from another shell has to keep them. */
const OTHER_VARIABLES: Readonly<Record<string, "path" | "text">> = {
  // The secret itself stays where it is: only the name of its file goes on.
  ...Object.fromEntries(secretFileVariables().map((name) => [name, "path"] as const)),
  CODEX_HOME: "path",
  XDG_CONFIG_HOME: "path",
  CODEX_CA_CERTIFICATE: "path",
  NODE_EXTRA_CA_CERTS: "path",
  SSL_CERT_FILE: "path",
  SSL_CERT_DIR: "path",
  NO_PROXY: "text",
  no_proxy: "text",
};

/** Tokens are never copied to a file of ours; only that they were there is. */
const LOGIN_VARIABLES: readonly string[] = TOKEN_VARIABLES;

const entries = settingEntries();

/**
 * What flags and environment bring, leaving out the config file, which is read again at every start. Relative paths mean
 * the folder of the caller; the relay itself runs elsewhere.
 */
export function givenBy(loaded: Loaded, flags: FlagValues, env: Environment): ExplicitSettings {
  const given: Partial<Record<SettingName, { value: string; origin: string }>> = {};
  for (const [name, setting] of entries) {
    const origin = loaded.origins[name];
    const flag = flags[name];
    const variable = setting.env.find((candidate) => candidate === origin);
    const text = flag === undefined ? (variable === undefined ? undefined : env[variable]) : String(flag);
    const value = loaded.settings[name];
    if (text === undefined) continue;
    given[name] = { value: isPath(setting) && typeof value === "string" ? resolve(value) : text, origin };
  }
  return withoutAddr(given, loaded);
}

/** Host and port in one has no name in the environment: it goes on as the two that it stands for. */
function withoutAddr({ addr, ...rest }: ExplicitSettings, { settings }: Loaded): ExplicitSettings {
  if (!addr || !settings.addr) return rest;
  const { host, port } = settings.addr;
  const { origin } = addr;
  return { ...rest, ...(host === "" ? {} : { host: { value: host, origin } }), port: { value: String(port), origin } };
}

/** The part that may be written down for all to see, and the part that may not. */
export function splitSecrets(given: ExplicitSettings): { open: ExplicitSettings; secret: ExplicitSettings } {
  const open = new Set<string>(entries.filter(([, setting]) => !setting.isSecret).map(([name]) => name));
  const isSecret = ([name]: [string, unknown]) => !open.has(name);
  const all = Object.entries(given);
  return {
    open: Object.fromEntries(all.filter((entry) => !isSecret(entry))) as ExplicitSettings,
    secret: Object.fromEntries(all.filter(isSecret)) as ExplicitSettings,
  };
}

/** Environment variables that carry the settings to a `serve` without flags. */
export function variablesOf(given: ExplicitSettings): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, setting] of entries) {
    const [variable] = setting.env;
    const value = given[name]?.value;
    if (variable !== undefined && value !== undefined) variables[variable] = value;
  }
  return variables;
}

/** Variables besides settings that the relay listens to. */
export function otherVariables(env: Environment): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, kind] of Object.entries(OTHER_VARIABLES)) {
    const value = env[name];
    if (value) kept[name] = kind === "path" ? resolve(expandTilde(value, env)) : value;
  }
  return kept;
}

function secretFileVariables(): string[] {
  const settings: readonly Setting[] = Object.values(SETTINGS);
  const own = settings.flatMap((setting) => environmentNames(setting).filter((name) => !setting.env.includes(name)));
  return [...own, ...TOKEN_VARIABLES.map((name) => `${name}_FILE`)];
}

/** An environment without any login of its own. */
export function withoutLogin(env: Environment): Environment {
  const files = LOGIN_VARIABLES.map((name) => `${name}_FILE`);
  const names = [...LOGIN_VARIABLES, ...files, "OPENAI_EXPIRES_AT", "OPENAI_CHATGPT_ACCOUNT_ID"];
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

/** Names of the variables that bring a login of their own, which comes before the auth file. */
export function loginVariables(env: Environment): string[] {
  return LOGIN_VARIABLES.filter((name) => env[name]);
}

/** More requests at once than Bun lets out need its limit lifted. */
export function fetchLimit(maxRequests: number): Record<string, string> {
  const needed = maxRequests + FETCH_LIMIT.spare;
  return needed > FETCH_LIMIT.usual ? { [FETCH_LIMIT.variable]: String(needed) } : {};
}

/** An environment in which nothing sets the relay but what is added to it. */
export function neutral(env: Environment): Record<string, string> {
  const names = new Set([
    ...entries.flatMap(([, setting]) => environmentNames(setting)),
    ...Object.keys(OTHER_VARIABLES),
    BACKGROUND_VARIABLE,
    FETCH_LIMIT.variable,
  ]);
  const kept = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || names.has(name) ? [] : [[name, value] as const],
  );
  return Object.fromEntries(kept);
}
