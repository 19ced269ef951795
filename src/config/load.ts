import { RelayError } from "../lib/errors.ts";
import { isObject, parseJson, type JsonObject } from "../lib/json.ts";
import { nearest } from "../lib/nearest.ts";
import { configFile } from "./paths.ts";
import { SETTINGS, type Setting, type SettingName, type Settings } from "./settings.ts";

/** Where a value came from: `--port`, `PLANSOCKET_PORT`, `config.json` or `default`. */
type Origins = Readonly<Record<SettingName, string>>;

export interface Loaded {
  readonly settings: Settings;
  readonly origins: Origins;
}

/** Flags as given, by setting: text, `true` for a switch, or several texts. */
export type FlagValues = Readonly<Partial<Record<SettingName, string | true | readonly string[]>>>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Set by the container image, and nowhere else. */
export const CONTAINER_MARK = "PLANSOCKET_CONTAINER";

/** Flag › environment › config file › default. Throws `usage` naming the place of the first bad value. */
export async function loadSettings(flags: FlagValues, env: Environment): Promise<Loaded> {
  const file = await readConfig(configFile(env));
  const settings: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, Setting][]) {
    const given = firstGiven(name, setting, flags, env, file);
    origins[name] = given?.origin ?? "default";
    settings[name] = given ? parsed(setting, given) : setting.default;
  }
  const loaded = { settings: settings as Settings, origins: origins as Origins };
  return { ...loaded, settings: withoutWeakerAddr(loaded) };
}

/** `addr` in the file is no stronger than the file: host and port of a flag or the environment stand. */
function withoutWeakerAddr({ settings, origins }: Loaded): Settings {
  const isFromFile = (name: SettingName) => origins[name].startsWith("config.json");
  const { addr } = settings;
  if (!addr || !isFromFile("addr")) return settings;
  const stands = (name: SettingName) => origins[name] !== "default" && !isFromFile(name);
  return {
    ...settings,
    addr: {
      host: stands("host") ? settings.host : addr.host,
      port: stands("port") ? settings.port : addr.port,
    },
  };
}

interface Given {
  readonly value: unknown;
  readonly origin: string;
}

function firstGiven(
  name: SettingName,
  setting: Setting,
  flags: FlagValues,
  env: Environment,
  file: JsonObject,
): Given | undefined {
  const flag = flags[name];
  if (flag !== undefined) return { value: flag, origin: setting.flags[0] ?? name };
  const inContainer = env[CONTAINER_MARK] ? (setting.containerEnv ?? []) : [];
  for (const variable of [...setting.env, ...inContainer]) {
    // An empty variable is one that somebody has taken back.
    if (env[variable]) return { value: env[variable], origin: variable };
  }
  return inFile(setting, file);
}

function inFile(setting: Setting, file: JsonObject): Given | undefined {
  const kept = file[setting.key];
  return kept === undefined || kept === null ? undefined : { value: kept, origin: `config.json (${setting.key})` };
}

function parsed(setting: Setting, given: Given): unknown {
  const result = setting.schema.safeParse(given.value);
  if (result.success) return result.data;
  throw refusal(setting, given, result.error.issues[0]?.message);
}

function badValue(setting: Setting, given: Given): RelayError | undefined {
  const result = setting.schema.safeParse(given.value);
  return result.success ? undefined : refusal(setting, given, result.error.issues[0]?.message);
}

function refusal(setting: Setting, given: Given, issue = "not accepted"): RelayError {
  const text = typeof given.value === "string" ? given.value : JSON.stringify(given.value);
  const shown = setting.isSecret ? "" : ` '${text.slice(0, 80)}'`;
  const reason = issue.replace(/^Invalid (input|option): /, "");
  return new RelayError("usage", `Bad value${shown} for ${given.origin}: ${reason}.`, {
    hint: `It is ${setting.help}.`,
  });
}

/** What a config file says, undefined when there is none. Throws `usage` when it cannot be read. */
export function configText(path: string): Promise<string | undefined> {
  return Bun.file(path)
    .text()
    .catch((error: unknown) => refuseUnreadable(path, error));
}

async function readConfig(path: string): Promise<JsonObject> {
  const text = await configText(path);
  if (text === undefined) return {};
  const { values, problems } = parseConfig(text);
  const [first] = problems;
  if (first === undefined) return values;
  throw new RelayError("usage", first.key === undefined ? `${path} ${first.message}` : `${path}: ${first.message}`, {
    hint: first.hint,
  });
}

/** One thing that is wrong with a config file. */
export interface ConfigProblem {
  /** Undefined when the file as a whole is at fault. */
  readonly key: string | undefined;
  readonly message: string;
  readonly hint: string;
}

/** Everything that is wrong with a config file's text, whether or not its settings are overridden elsewhere. */
export function checkConfig(text: string): ConfigProblem[] {
  const { values, problems } = parseConfig(text);
  return [
    ...problems,
    ...Object.values<Setting>(SETTINGS).flatMap((setting) => {
      const given = inFile(setting, values);
      const problem = given && badValue(setting, given);
      return problem ? [{ key: setting.key, message: problem.message, hint: problem.hint ?? "" }] : [];
    }),
  ];
}

/** Editors look here for the schema; the relay does not. */
const SCHEMA_KEY = "$schema";

function parseConfig(text: string): { readonly values: JsonObject; readonly problems: readonly ConfigProblem[] } {
  const value = parseJson(text);
  if (!isObject(value)) {
    const problem = { key: undefined, message: "is not a JSON object.", hint: "Mend it or remove it." };
    return { values: {}, problems: [problem] };
  }
  const known = Object.values<Setting>(SETTINGS).map((setting) => setting.key);
  const unknown = Object.keys(value).filter((key) => key !== SCHEMA_KEY && !known.includes(key));
  const problems = unknown.map((key) => ({
    key: key.slice(0, 60),
    message: `Unknown key '${key.slice(0, 60)}'.`,
    hint: `Did you mean '${nearest(key, known)}'?`,
  }));
  return { values: value, problems };
}

/** A file that is there holds what its owner wants: going on without it would quietly do something else. */
function refuseUnreadable(path: string, error: unknown): undefined {
  const { code } = error as { code?: string };
  if (code === "ENOENT" || code === "ENOTDIR") return undefined;
  const isFolder = code === "EISDIR";
  throw new RelayError("usage", isFolder ? `${path} is a folder.` : `${path} may not be read (${code ?? "unknown"}).`, {
    hint: isFolder ? "Remove it; settings are in a file." : "Let this user read it, or remove it.",
  });
}
