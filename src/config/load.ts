import type { Environment } from "../lib/environment.ts";
import { RelayError } from "../lib/errors.ts";
import { expandTilde } from "../lib/home.ts";
import type { JsonObject } from "../lib/json.ts";
import { checkShape, configText, type ConfigProblem } from "./file.ts";
import { isKubernetesAddress, isInKubernetes } from "./kubernetes.ts";
import { configFile } from "./paths.ts";
import {
  isPath,
  SETTINGS,
  environmentNames,
  type Setting,
  type SettingName,
  type Settings,
  settingEntries,
  SETTING_NAMES,
} from "./settings.ts";
import { secretInFile } from "../lib/secret-file.ts";

/** Where a value came from: `--port`, `PLANSOCKET_PORT`, `config.json (port)` or `default`. */
type Origins = Readonly<Record<SettingName, string>>;

export interface Loaded {
  readonly settings: Settings;
  readonly origins: Origins;
  readonly warnings: readonly SettingsWarning[];
}

/** What was left aside: a variable of Kubernetes, or a fault that the command tolerates, which has a fix. */
export interface SettingsWarning {
  readonly message: string;
  readonly fix?: string;
}

/** Flags as given, by setting: text, `true` for a switch, or several texts. */
export type FlagValues = Readonly<Partial<Record<SettingName, string | true | readonly string[]>>>;

/** Which faults a command refuses to run with. Faults in its flags always count. */
export interface Judgment {
  /** A bad value in the environment or the file counts for these settings only; all others fall back. */
  readonly needs: readonly SettingName[];
  /** Also runs when the config file is not JSON, has unknown keys or cannot be read. */
  readonly toleratesFile?: boolean;
}

/** Set by the container image, and nowhere else. */
export const CONTAINER_MARK = "PLANSOCKET_CONTAINER";

/**
 * Flag › environment › config file › default. Without a `judgment` every fault counts. Throws `usage` naming the place
 * of the first fault that counts.
 */
export async function loadSettings(flags: FlagValues, env: Environment, judgment?: Judgment): Promise<Loaded> {
  const warnings: SettingsWarning[] = [];
  const tolerate = (error: unknown, isTolerated: boolean) => {
    if (!isTolerated || !(error instanceof RelayError)) throw error;
    warnings.push({ message: error.message, fix: error.hint ?? "Fix it." });
  };
  const path = configFile(env);
  const file = await readConfig(path).catch((error: unknown) => {
    tolerate(error, judgment?.toleratesFile === true);
    return {};
  });
  const settings: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const [name, setting] of settingEntries()) {
    settings[name] = setting.default;
    origins[name] = "default";
    try {
      const given = firstGiven(name, setting, { flags, env, file, warn: (message) => warnings.push({ message }) });
      if (!given) continue;
      settings[name] = parsed(setting, given, env);
      origins[name] = given.origin;
    } catch (error) {
      tolerate(error, flags[name] === undefined && judgment !== undefined && !judgment.needs.includes(name));
    }
  }
  if (!areSettings(settings) || !areOrigins(origins)) throw new Error("Every setting has a value by now.");
  const loaded = { settings, origins, warnings };
  return { ...loaded, settings: withoutWeakerAddr(loaded) };
}

/** `addr` in the file is no stronger than the file: host and port of a flag or the environment stay in force. */
function withoutWeakerAddr({ settings, origins }: Loaded): Settings {
  const isFromFile = (name: SettingName) => origins[name].startsWith("config.json");
  const { addr } = settings;
  if (!addr || !isFromFile("addr")) return settings;
  const isStronger = (name: SettingName) => origins[name] !== "default" && !isFromFile(name);
  return {
    ...settings,
    addr: {
      host: isStronger("host") ? "" : addr.host,
      port: isStronger("port") ? settings.port : addr.port,
    },
  };
}

interface Given {
  readonly value: unknown;
  readonly origin: string;
}

interface Places {
  readonly flags: FlagValues;
  readonly env: Environment;
  readonly file: JsonObject;
  readonly warn: (message: string) => void;
}

function firstGiven(name: SettingName, setting: Setting, places: Places): Given | undefined {
  const { flags, env, file } = places;
  const flag = flags[name];
  if (flag !== undefined) return { value: flag, origin: setting.flags[0] ?? name };
  return inEnvironment(setting, env, places.warn) ?? inFile(setting, file);
}

function inEnvironment(setting: Setting, env: Environment, warn: Places["warn"]): Given | undefined {
  const isPlatform = Boolean(env[CONTAINER_MARK]) || isInKubernetes(env);
  for (const variable of [...environmentNames(setting), ...(isPlatform ? (setting.containerEnv ?? []) : [])]) {
    const value = env[variable];
    // An empty variable is one that somebody has taken back.
    if (!value) continue;
    if (isKubernetesAddress(variable, value, env)) {
      warn(`${variable} is ignored: Kubernetes sets it to ${value} for a service of that name.`);
      continue;
    }
    const isSecretFile = !setting.env.includes(variable) && variable.endsWith("_FILE");
    return { value: isSecretFile ? secretInFile(variable, env) : value, origin: variable };
  }
  return undefined;
}

function inFile(setting: Setting, file: JsonObject): Given | undefined {
  const kept = file[setting.key];
  return kept === undefined || kept === null ? undefined : { value: kept, origin: `config.json (${setting.key})` };
}

function parsed(setting: Setting, given: Given, env: Environment): unknown {
  const result = setting.schema().safeParse(given.value);
  if (!result.success) throw refusal(setting, given, result.error.issues[0]?.message);
  if (!isPath(setting) || typeof result.data !== "string") return result.data;
  const path = expandTilde(result.data, env);
  if (/^~[^/\\]*[/\\]/.test(path))
    throw refusal(setting, given, "must not begin with another user's ~; write the whole path");
  return path;
}

function refusal(setting: Setting, { value, origin }: Given, reason = "is not accepted"): RelayError {
  const isOfTexts = Array.isArray(value) && value.every((entry) => typeof entry === "string");
  const text = typeof value === "string" ? value : isOfTexts ? value.join(", ") : JSON.stringify(value);
  const shown = setting.isSecret ? "" : ` '${text.slice(0, 80)}'`;
  return new RelayError("usage", `Bad value${shown} for ${origin}: ${reason}.`, {
    hint: `${setting.help[0]?.toUpperCase()}${setting.help.slice(1)}. For example: \`${exampleFor(setting, origin)}\``,
  });
}

/** A good value, written as it would stand in the place of the bad one. */
function exampleFor(setting: Setting, origin: string): string {
  const example = setting.example ?? String(setting.default);
  if (origin.startsWith("--")) return `${origin} ${/[\s|<>]/.test(example) ? `"${example}"` : example}`;
  if (!origin.startsWith("config.json")) return `${origin}=${example}`;
  const isPlain = typeof setting.default === "number" || typeof setting.default === "boolean";
  return `"${setting.key}": ${isPlain ? example : JSON.stringify(example)}`;
}

async function readConfig(path: string): Promise<JsonObject> {
  const text = await configText(path);
  if (text === undefined) return {};
  const { values, problems } = checkShape(text);
  const [first] = problems;
  if (first === undefined) return values;
  throw new RelayError("usage", first.key === undefined ? `${path} ${first.message}` : `${path}: ${first.message}`, {
    hint: first.hint,
  });
}

/** Every fault of a config file's text, whether or not its settings are overridden elsewhere. */
export function checkConfig(text: string, env: Environment = process.env): ConfigProblem[] {
  const { values, problems } = checkShape(text);
  const badValues = Object.values<Setting>(SETTINGS).flatMap((setting) => {
    const given = inFile(setting, values);
    try {
      if (given) parsed(setting, given, env);
      return [];
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      return [{ key: setting.key, message: error.message, hint: error.hint ?? "" }];
    }
  });
  return [...problems, ...badValues];
}

const hasAll = (values: Readonly<Record<string, unknown>>) => SETTING_NAMES.every((name) => name in values);

/** True for what has gone through every setting's schema. */
function areSettings(values: Readonly<Record<string, unknown>>): values is Settings {
  return hasAll(values);
}

function areOrigins(values: Readonly<Record<string, string>>): values is Origins {
  return hasAll(values);
}
