import { stat } from "node:fs/promises";
import { defineCommand, type ArgsDef } from "citty";
import { loadSettings, type FlagValues, type Judgment } from "../../config/load.ts";
import { stateFolder } from "../../config/paths.ts";
import { KeyFile, keysPath } from "../../keys/key-file.ts";
import type { KeyPlace } from "../../keys/key-list.ts";
import { keyPlace } from "../keys/key-place.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { confirm } from "../confirm.ts";
import {
  ADDRESS_SETTINGS,
  BACKEND_NEEDS,
  BACKEND_SETTINGS,
  citty,
  parseFlags,
  type OwnFlag,
  type ParsedFlags,
} from "../flags.ts";
import { oldModelsNote } from "../old-models.ts";
import { print, printText, say, warnOf } from "../output.ts";
import type { ClientSetup, Plan, Target } from "../setup/client.ts";
import { CLIENTS } from "../setup/index.ts";
import { readText, SetupJournal, type Change } from "../setup/journal.ts";
import { clientStates } from "../setup/overview.ts";
import { areKeysInUse, keepOwnKey, ownKeyFor, revokeOwnKeys, type OwnKey } from "../setup/own-key.ts";
import { previewOf } from "../setup/preview.ts";
import { addressOf, checkKey, modelsOf, originOf } from "../setup/target.ts";
import { openServices } from "../services.ts";
import { STORE_SETTINGS } from "../store.ts";
import { relayAt } from "../relay-at.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  model: { value: "MODEL", help: "model that the client uses (default: the first of the account)" },
  default: { help: "also make the relay the default where the client keeps several providers" },
  "as-builtin": { help: "in place of the client's built-in provider, for all that it offers only there (codex)" },
  "dry-run": { help: "only show what would change" },
  yes: { help: "write without asking" },
  undo: { help: "put the client's files back as they were" },
  force: { help: "undo also files that were edited since" },
  "env-file": { value: "FILE", help: "write the variables into this .env file (open-webui)" },
  shell: { value: "SHELL", help: "bash, zsh, fish or powershell (env)" },
  json: { help: "print the list of clients as JSON (without a client)" },
};

export const setup = defineCommand({
  meta: {
    name: "setup",
    description: `Write a client's own configuration. Clients: ${Object.keys(CLIENTS).join(", ")}.`,
  },
  args: withClient(citty(OWN, ["host", "port", "addr", "apiKey", "models", ...BACKEND_SETTINGS])),
  async run({ rawArgs }) {
    const named = clientIn(rawArgs);
    if (!named) return overview(parseFlags(rawArgs, OWN));
    const { name, client, rest } = named;
    const flags = parseFlags(rest, OWN);
    const state = await stateOf(name, flags);
    return flags.own["undo"] ? undo(name, state, flags) : write(name, inWayOf(name, client, flags), state, flags);
  },
});

function withClient(args: ArgsDef): ArgsDef {
  return { client: { type: "positional", description: "client to set up", required: false }, ...args };
}

/** The client's name may stand before or after flags. */
function clientIn(argv: readonly string[]): { name: string; client: ClientSetup; rest: string[] } | undefined {
  const names = Object.keys(CLIENTS);
  const known = argv.findIndex((word, index) => names.includes(word) && !takesNext(argv[index - 1]));
  const index = known >= 0 ? known : argv[0]?.startsWith("-") === false ? 0 : -1;
  const name = argv[index];
  if (name === undefined) return undefined;
  const client = CLIENTS[name];
  if (!client) {
    throw new RelayError("usage", `Unknown client '${name.slice(0, 40)}'.`, {
      hint: `${didYouMean(name, names, "")} Clients: ${names.join(", ")}.`.trim(),
    });
  }
  return { name, client, rest: argv.filter((_, at) => at !== index) };
}

/** Which clients are here, which are set up, and whether the relay that they would ask runs. */
async function overview({ settings, own }: ParsedFlags): Promise<number> {
  if (own["undo"]) {
    throw new RelayError("usage", "Which client?", { hint: "Write `plansocket setup CLIENT --undo`." });
  }
  const loaded = await loadSettings(settings, process.env, { needs: ADDRESS_SETTINGS });
  warnOf(loaded.warnings);
  const origin = originOf(loaded.settings);
  const target: Target = {
    ...addressOf(origin, loaded.settings.apiKey),
    ...NO_MODELS,
    isDefault: false,
    envFile: undefined,
    shell: undefined,
    env: process.env,
  };
  const states = clientStates(target, stateFolder(process.env, loaded.settings));
  if (own["json"]) {
    print(JSON.stringify(states, undefined, 2));
    return 0;
  }
  const here = states.filter(({ isFound, isSetUp }) => isFound || isSetUp);
  const width = Math.max(...states.map(({ name }) => name.length));
  printText(here.length > 0 ? "On this machine:" : "No client that setup knows was found on this machine.");
  for (const { name, title, isSetUp } of here) {
    const row = `  ${isSetUp ? "✓" : " "} ${name.padEnd(width)}  ${title.padEnd(16)}  ${isSetUp ? "set up" : ""}`;
    printText(row.trimEnd());
  }
  const others = states.filter((state) => !here.includes(state)).map(({ name }) => name);
  if (others.length > 0) printText(`Also known: ${[...others, "env"].join(", ")}.`);
  const next = here.find(({ isSetUp }) => !isSetUp)?.name ?? "CLIENT";
  printText(`Next: \`plansocket setup ${next}\` shows what it would write, and asks first.`);
  if (!(await relayAt(origin))) {
    say(`No relay answers on ${origin}. Start it with \`plansocket start\`, or \`plansocket serve\` to watch it.`);
  }
  return 0;
}

function takesNext(word: string | undefined): boolean {
  return word === "--shell" || word === "--model" || word === "--models";
}

/** What setup keeps in the state folder. */
interface State {
  readonly journal: SetupJournal;
  readonly keys: KeyPlace;
}

async function stateOf(client: string, { settings, own }: ParsedFlags): Promise<State> {
  // Undo must work when the settings do not.
  const isUndo = own["undo"] === true;
  const judgment: Judgment = { needs: ["stateDir", ...STORE_SETTINGS], toleratesFile: isUndo };
  const loaded = await loadSettings(settings, process.env, judgment);
  // What is to be written is judged when its target is made out.
  if (isUndo) warnOf(loaded.warnings);
  const folder = stateFolder(process.env, loaded.settings);
  const keys = await keyPlace(loaded.settings, process.env).catch((error: unknown) => {
    if (!isUndo) throw error;
    say(`${toRelayError(error).message} The client's key there stays; \`plansocket keys revoke\` ends it.`);
    return new KeyFile(keysPath(folder));
  });
  return { journal: new SetupJournal(folder, client), keys };
}

async function write(name: string, client: ClientSetup, { journal, keys }: State, flags: ParsedFlags): Promise<number> {
  const { target, ownKey } = await withOwnKey(name, client, keys, flags);
  checkKey(client, target.key);
  const plan = client.plan(target);
  if (plan.instructions !== undefined) print(plan.instructions);
  const changes = await changesOf(plan);
  for (const { path, before, after } of changes) print(previewOf(path, before, after));
  if (flags.own["dry-run"]) return 0;
  if (changes.length > 0) {
    if (!flags.own["yes"] && !(await confirm(`Write this for ${client.title}?`, "--yes"))) {
      say("Nothing was changed.");
      return 1;
    }
    if (ownKey) await keepOwnKey(name, keys, ownKey);
    try {
      await journal.apply(changes);
    } catch (error) {
      // Files already written are in the journal; the key would be nobody's.
      if (ownKey?.isNew === true) await keys.revoke(ownKey.name);
      throw error;
    }
    if (target.hasKey && target.key !== PLACEHOLDER) await warnOfReaders(changes);
    say(`${client.title} is set up for ${target.origin}.`);
    if (ownKey) say(`It has a key of its own, '${ownKey.name}': \`plansocket keys list\` shows what it uses.`);
    // A file that is new has no older form.
    const hasCopies = changes.some(({ before }) => before !== undefined);
    if (hasCopies) say(`Copies of files as they were: ${journal.folder}.`);
    say(`To go back: \`plansocket setup ${name} --undo\``);
  } else if (plan.files.length > 0) say(`${client.title} is set up already; nothing changes.`);
  for (const line of plan.next) say(line);
  return 0;
}

/** The client as it is to be set up. Throws `usage` where it cannot be set up in that way. */
function inWayOf(name: string, client: ClientSetup, { own }: ParsedFlags): ClientSetup {
  if (!own["as-builtin"]) return client;
  if (client.planAsBuiltin) return { ...client, plan: client.planAsBuiltin };
  const able = Object.keys(CLIENTS).filter((each) => CLIENTS[each]?.planAsBuiltin);
  throw new RelayError("usage", `${name} cannot be set up with --as-builtin.`, {
    hint: `Clients that can: ${able.join(", ")}.`,
  });
}

/** What the client is told of the relay; where clients have keys, with a key of its own. */
async function withOwnKey(
  name: string,
  client: ClientSetup,
  keys: KeyPlace,
  flags: ParsedFlags,
): Promise<{ target: Target; ownKey?: OwnKey }> {
  const target = await targetOf(client, flags);
  // Whoever names a key means that one.
  if (flags.settings.apiKey !== undefined || !areKeysInUse(keys)) return { target };
  const texts = await Promise.all(client.plan(target).files.map(({ path }) => readText(path)));
  const present = texts.filter((text) => text !== undefined);
  const ownKey = ownKeyFor(name, keys, present);
  const told = { ...target, key: ownKey.text, hasKey: true };
  const isWritten = client.plan(told).files.some(({ edit }, at) => edit(texts[at] ?? "").includes(ownKey.text));
  if (isWritten) return { target: told, ownKey };
  if (target.hasKey) return { target };
  say(`The relay asks for a key: \`plansocket keys add ${name}\` makes one for ${client.title}.`);
  return { target: { ...target, key: PLACEHOLDER, hasKey: true } };
}

/** Stands where a key is missing. */
const PLACEHOLDER = "YOUR_KEY";

async function targetOf(client: ClientSetup, { settings, own }: ParsedFlags): Promise<Target> {
  const text = (flag: string) => (typeof own[flag] === "string" ? own[flag] : undefined);
  const loaded = await loadSettings(settings, process.env, { needs: ADDRESS_SETTINGS });
  // Whoever asks for the models is warned there.
  if (client.usesModels === false) warnOf(loaded.warnings);
  return {
    ...addressOf(originOf(loaded.settings), loaded.settings.apiKey),
    ...(client.usesModels === false ? NO_MODELS : await accountModels(settings, text("model"))),
    isDefault: own["default"] === true,
    envFile: text("env-file"),
    shell: text("shell"),
    env: process.env,
  };
}

const NO_MODELS = { model: "", smallModel: "", models: [] };

async function accountModels(settings: FlagValues, wanted: string | undefined) {
  const { upstream } = await openServices(settings, process.env, { judgment: { needs: BACKEND_NEEDS } });
  const catalogue = await upstream.catalogue.current();
  const note = oldModelsNote(catalogue);
  if (note !== undefined) say(note);
  return modelsOf(catalogue, wanted);
}

/** All edits are made in memory before the first is shown: a file that cannot be edited stops the others too. */
async function changesOf(plan: Plan): Promise<Change[]> {
  const changes: Change[] = [];
  for (const { path, edit } of plan.files) {
    const before = await readText(path);
    const after = edit(before ?? "");
    if (after !== (before ?? "")) changes.push({ path, before, after });
  }
  return changes;
}

/** A file keeps its mode, also when it is now the first time that a key is in it. */
async function warnOfReaders(changes: readonly Change[]): Promise<void> {
  if (process.platform === "win32") return;
  for (const { path } of changes) {
    const { mode } = await stat(path);
    if ((mode & 0o044) === 0) continue;
    say(
      `${path} can be read by others (mode ${(mode & 0o777).toString(8)}) and holds the relay's key: \`chmod 600\` it.`,
    );
  }
}

async function undo(name: string, { journal, keys }: State, flags: ParsedFlags): Promise<number> {
  for (const line of await journal.undo(flags.own["force"] === true)) say(line);
  await revokeOwnKeys(name, keys);
  return 0;
}
