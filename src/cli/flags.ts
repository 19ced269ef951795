import type { ArgsDef } from "citty";
import type { FlagValues } from "../config/load.ts";
import { defaultText, type Setting, type SettingName, settingEntries } from "../config/settings.ts";
import { RelayError } from "../lib/errors.ts";
import { listOf } from "../lib/json.ts";
import { didYouMean } from "../lib/nearest.ts";

/** A flag of one command only, beside those that set settings. */
export interface OwnFlag {
  readonly help: string;
  /** What its value looks like; absent for switches. */
  readonly value?: string;
  /** One letter, as in `-f`. */
  readonly short?: string;
}

export interface ParsedFlags {
  readonly settings: FlagValues;
  /** Flags of the command itself, by name without dashes. */
  readonly own: Readonly<Record<string, string | true>>;
  /** Words that are no flags, where the command takes any; all words behind `--` are such. */
  readonly operands: readonly string[];
}

type Target =
  | { readonly kind: "setting"; readonly name: SettingName; readonly setting: Setting }
  | { readonly kind: "own"; readonly name: string; readonly flag: OwnFlag }
  | { readonly kind: "debug" };

/**
 * Flags, strictly: citty lets unknown ones pass and takes a missing value for an empty one, which turns a typing error
 * into a relay that quietly does something else. Throws `usage`.
 */
export function parseFlags(
  argv: readonly string[],
  own: Readonly<Record<string, OwnFlag>> = {},
  { takesOperands = false } = {},
): ParsedFlags {
  const targets = targetsOf(own);
  const settings: Record<string, string | true | string[]> = {};
  const others: Record<string, string | true> = {};
  const operands: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? "";
    if (takesOperands && word === "--") {
      operands.push(...argv.slice(index + 1));
      break;
    }
    // A lone dash or a blank inside is text, as in "- what is this?".
    if (takesOperands && !/^--?[a-z][^\s]*$/i.test(word.split("=")[0] ?? "")) {
      operands.push(word);
      continue;
    }
    const { flag, attached } = split(word);
    const target = targets.get(flag);
    if (!target) throw unknownFlag(word, [...targets.keys()]);
    if (attached !== undefined && isBareSwitch(target)) {
      throw new RelayError("usage", `${flag} takes no value.`, { hint: `Write ${flag}, or leave it out.` });
    }
    if (target.kind === "debug") {
      settings["logLevel"] = "debug";
      continue;
    }
    const takesValue = target.kind === "setting" ? target.setting.value !== undefined : target.flag.value !== undefined;
    let value: string | true = true;
    if (takesValue) {
      if (attached === undefined) index += 1;
      value = attached ?? valueAfter(flag, argv[index]);
    } else if (attached !== undefined) {
      value = attached;
    }
    if (target.kind === "own") others[target.name] = value;
    else if (target.setting.isList && typeof value === "string") {
      settings[target.name] = [...listOf(settings[target.name]).filter((entry) => typeof entry === "string"), value];
    } else settings[target.name] = value;
  }
  return { settings, own: others, operands };
}

/** Switches that are settings can be switched off, as with `--strict=false`; others are there or not. */
function isBareSwitch(target: Target): boolean {
  return target.kind === "debug" || (target.kind === "own" && target.flag.value === undefined);
}

/** `--port=9`, `-p=9` and `-p9` carry their value with them. */
function split(word: string): { flag: string; attached: string | undefined } {
  const long = /^(--[a-z0-9-]+)=(.*)$/s.exec(word) ?? /^(-[a-z])=?(.+)$/s.exec(word);
  return { flag: long?.[1] ?? word, attached: long?.[2] };
}

function valueAfter(flag: string, next: string | undefined): string {
  if (next === undefined || /^--?[a-z]/i.test(next)) {
    throw new RelayError("usage", `${flag} needs a value.`, { hint: `Write ${flag} VALUE.` });
  }
  return next;
}

function targetsOf(own: Readonly<Record<string, OwnFlag>>): Map<string, Target> {
  const targets = new Map<string, Target>([["--debug", { kind: "debug" }]]);
  for (const [name, setting] of settingEntries()) {
    for (const flag of setting.flags) targets.set(flag, { kind: "setting", name, setting });
  }
  for (const [name, flag] of Object.entries(own)) {
    targets.set(`--${name}`, { kind: "own", name, flag });
    if (flag.short !== undefined) targets.set(`-${flag.short}`, { kind: "own", name, flag });
  }
  return targets;
}

function unknownFlag(word: string, known: readonly string[]): RelayError {
  if (!word.startsWith("-")) {
    return new RelayError("usage", `Unexpected argument '${word.slice(0, 60)}'.`, { hint: "Flags begin with --." });
  }
  const flag = word.split("=")[0] ?? word;
  return new RelayError("usage", `Unknown flag '${flag.slice(0, 60)}'.`, {
    hint: didYouMean(flag, known, "`--help` lists the flags of a command."),
  });
}

/** Settings of commands that only look at the login. */
export const LOGIN_SETTINGS: readonly SettingName[] = [
  "authFile",
  "store",
  "storeKey",
  "storePrefix",
  "stateDir",
  "proxy",
  "logLevel",
  "logFormat",
];

/** Settings of commands that ask the backend something. */
export const BACKEND_SETTINGS: readonly SettingName[] = [...LOGIN_SETTINGS, "baseUrl", "clientVersion"];

/** What commands refuse to run without that look at the login or ask for it: a token goes nowhere by mistake. */
export const LOGIN_NEEDS: readonly SettingName[] = [
  ...LOGIN_SETTINGS,
  "issuer",
  "clientId",
  "tokenUrl",
  "revokeUrl",
  "authApiUrl",
];

/** The same of commands that ask the backend something. */
export const BACKEND_NEEDS: readonly SettingName[] = [...LOGIN_NEEDS, "baseUrl", "openaiBaseUrl", "clientVersion"];

/** What says where a relay is and how it is asked. */
export const ADDRESS_SETTINGS: readonly SettingName[] = [
  "host",
  "port",
  "addr",
  "unix",
  "basePath",
  "tlsCert",
  "apiKey",
  "stateDir",
];

/** Settings that say where the background relay's files are. */
export const BACKGROUND_SETTINGS: readonly SettingName[] = ["stateDir", "stateFile", "pidFile", "logFile"];

/**
 * A command's own flags and the settings that matter to it (all when `names` is left out) in citty's form, for help.
 * Other settings are taken as well: one config file or alias serves every command. `usual` has the defaults that are
 * other ones in this command.
 */
export function citty(
  own: Readonly<Record<string, OwnFlag>> = {},
  names?: readonly SettingName[],
  usual: Readonly<Partial<Record<SettingName, string>>> = {},
): ArgsDef {
  const args: ArgsDef = {};
  for (const [name, flag] of Object.entries(own)) {
    args[name] = {
      type: flag.value === undefined ? "boolean" : "string",
      description: flag.help,
      valueHint: flag.value ?? "",
      alias: flag.short ?? [],
    };
  }
  for (const [key, setting] of settingEntries()) {
    if (names && !names.includes(key)) continue;
    const [flag, ...aliases] = setting.flags;
    if (flag === undefined) continue;
    const name = flag.slice(2);
    const alias = aliases.map((other) => other.replace(/^-+/, ""));
    const shown = usual[key] ?? defaultText(setting);
    const description = shown === "" ? setting.help : `${setting.help} (default: ${shown})`;
    args[name] =
      setting.value === undefined
        ? { type: "boolean", description, alias }
        : { type: "string", description, alias, valueHint: setting.value };
  }
  return args;
}
