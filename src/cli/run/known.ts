import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { isObject, parseJson } from "../../lib/json.ts";
import { PROVIDER, type Target } from "../setup/client.ts";
import { claudeVariables } from "../setup/clients/claude-code.ts";
import { clineProviders } from "../setup/clients/cline.ts";
import { continueConfig } from "../setup/clients/continue.ts";
import { droidModels } from "../setup/clients/droid.ts";
import { opencodeProvider } from "../setup/clients/opencode.ts";
import { piProvider } from "../setup/clients/pi.ts";

/** What a command that is run is told about its relay. */
export type Session = Pick<Target, "origin" | "v1" | "key" | "model" | "smallModel" | "models"> & {
  /** A temporary folder, made when first asked for and removed at the end. */
  readonly folder: () => string;
};

/** A command line and the variables that it gets beside the general ones; undefined takes one away. */
interface Adapted {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Adapt = (args: readonly string[], session: Session, env: Readonly<Record<string, string | undefined>>) => Adapted;

/** Name of the variable that carries the key where a command line or a file would show it to others. */
const KEY_VARIABLE = "PLANSOCKET_RUN_KEY";

/** Commands for which the general variables are not enough. */
const KNOWN: Readonly<Record<string, Adapt>> = {
  claude: (args, session) => ({
    args,
    // Beside a token an API key is a conflict that Claude Code warns about.
    env: { ...claudeVariables(session), ANTHROPIC_API_KEY: undefined },
  }),

  /** Its own home stays in use: settings, sessions and login are those of its owner. */
  codex: (args, { v1, key }) => {
    const provider = { name: PROVIDER, base_url: v1, wire_api: "responses", env_key: KEY_VARIABLE };
    const settings = Object.entries(provider).map(([name, value]) => [`model_providers.${PROVIDER}.${name}`, value]);
    const flags = [["model_provider", PROVIDER], ...settings].flatMap(([name, value]) => [
      "-c",
      `${name}=${JSON.stringify(value)}`,
    ]);
    return { args: [...flags, ...args], env: { [KEY_VARIABLE]: key } };
  },

  /** Its own model routing needs a GitHub login; with a provider of one's own it needs none. */
  copilot: (args, { v1, key, model }) => ({
    args,
    env: {
      COPILOT_PROVIDER_BASE_URL: v1,
      COPILOT_PROVIDER_TYPE: "openai",
      COPILOT_PROVIDER_WIRE_API: "responses",
      COPILOT_PROVIDER_API_KEY: key,
      COPILOT_MODEL: model,
    },
  }),

  opencode: withOpencodeConfig("OPENCODE_CONFIG_CONTENT"),
  kilo: withOpencodeConfig("KILO_CONFIG_CONTENT"),

  /** An extension registers the provider, so that pi keeps its own folder. */
  pi: (args, session) => {
    if (PI_COMMANDS.has(args[0] ?? "")) return { args, env: {} };
    const path = join(session.folder(), "plansocket.js");
    const provider = piProvider({ ...session, key: `$${KEY_VARIABLE}` });
    const source = `export default (pi) => pi.registerProvider(${JSON.stringify(PROVIDER)}, ${JSON.stringify(provider)});\n`;
    writeFileSync(path, source, { mode: 0o600 });
    const chosen = args.includes("--provider") ? [] : ["--provider", PROVIDER];
    const model = args.includes("--model") || args.includes("--models") ? [] : ["--model", session.model];
    return { args: ["--extension", path, ...chosen, ...model, ...args], env: { [KEY_VARIABLE]: session.key } };
  },

  qwen: (args, session) => ({
    args: args.some((word) => word.startsWith("--auth-type")) ? args : ["--auth-type", "openai", ...args],
    env: { OPENAI_MODEL: session.model },
  }),

  /** It has no flag or variable for a base URL, only a file, whose place a variable can move. */
  cline: (args, session) => {
    const path = join(session.folder(), "cline", "providers.json");
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, clineProviders(path, "", session, new Date()), { mode: 0o600 });
    return { args, env: { CLINE_PROVIDER_SETTINGS_PATH: path } };
  },

  /** With a file of models it asks for no account; the first of the file is the one in use. */
  cn: (args, session) => {
    if (args.includes("--config")) return { args, env: {} };
    const path = join(session.folder(), "continue.yaml");
    const isChosen = ({ id }: { readonly id: string }) => id === session.model;
    const models = session.models.toSorted((a, b) => Number(isChosen(b)) - Number(isChosen(a)));
    writeFileSync(path, continueConfig(path, "", { ...session, models }), { mode: 0o600 });
    return { args: ["--config", path, ...args], env: {} };
  },

  /** Settings for one session, beside those of its owner. */
  droid: (args, session) => {
    const path = join(session.folder(), "droid.json");
    const customModels = droidModels({ ...session, key: `\${${KEY_VARIABLE}}` });
    const sessionDefaultSettings = { model: `custom:${session.model}` };
    writeFileSync(path, JSON.stringify({ customModels, sessionDefaultSettings }), { mode: 0o600 });
    return { args, env: { FACTORY_RUNTIME_SETTINGS_PATH: path, [KEY_VARIABLE]: session.key } };
  },

  aider: (args, { v1, key, model, smallModel }) => ({
    args,
    // Its own names come before those of its configuration file, and flags before both.
    env: {
      AIDER_OPENAI_API_BASE: v1,
      AIDER_OPENAI_API_KEY: key,
      AIDER_MODEL: `openai/${model}`,
      AIDER_WEAK_MODEL: `openai/${smallModel}`,
    },
  }),
};

/** For clients that read more configuration from a variable in the form that opencode has. */
function withOpencodeConfig(variable: string): Adapt {
  return (args, session, env) => {
    const given = parseJson(env[variable] ?? "");
    const config = isObject(given) ? given : {};
    const providers = isObject(config["provider"]) ? config["provider"] : {};
    const own = opencodeProvider({ ...session, key: `{env:${KEY_VARIABLE}}` });
    const content = {
      ...config,
      model: `${PROVIDER}/${session.model}`,
      small_model: `${PROVIDER}/${session.smallModel}`,
      provider: { ...providers, [PROVIDER]: own },
    };
    return { args, env: { [variable]: JSON.stringify(content), [KEY_VARIABLE]: session.key } };
  };
}

/** Words after `pi` that manage it instead of starting it. */
const PI_COMMANDS = new Set(["install", "remove", "uninstall", "update", "list", "config"]);

/** How a command is called so that it uses the relay; undefined for those that the general variables are enough for. */
export function adaptationOf(command: string): Adapt | undefined {
  return KNOWN[
    basename(command)
      .toLowerCase()
      .replace(/\.(exe|cmd|ps1)$/, "")
  ];
}
