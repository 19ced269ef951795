import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { SETTINGS, type SettingName } from "../../config/settings.ts";
import { writeAtomically } from "../../lib/atomic-file.ts";
import { RelayError } from "../../lib/errors.ts";
import { textIfFile } from "../../lib/private-file.ts";
import { parseJson } from "../../lib/json.ts";
import { splitSecrets, type ExplicitSettings } from "./explicit-settings.ts";
import type { BackgroundPaths } from "./paths.ts";

const Place = z.object({ value: z.string(), origin: z.string() });

/** The state file. `start` writes what it starts with, the relay adds who and where it is once it listens. */
const State = z.looseObject({
  command: z.enum(["serve", "demo"]),
  /** Random, handed to the process and shown by its /health: the proof that a process is the one meant here. */
  instance: z.string(),
  pid: z.number().int().positive().optional(),
  /** When the process began; tells it from a later one with the same id. */
  process_mark: z.string().optional(),
  url: z.string().optional(),
  started_at: z.string().optional(),
  pid_file: z.string(),
  log_file: z.string(),
  settings: z.record(z.string(), Place),
  /** Where the settings that are kept in the secrets file came from. */
  secrets: z.record(z.string(), z.string()),
  environment: z.record(z.string(), z.string()),
  /** Variables that brought a login; their values are not kept. */
  login_variables: z.array(z.string()),
});
export type State = z.infer<typeof State>;

/** What the last start left; undefined when there was none or the file is not one of ours. */
export async function loadState(path: string): Promise<State | undefined> {
  const result = State.safeParse(parseJson(textIfFile(path)));
  return result.success ? result.data : undefined;
}

/** Everyone of this user may read it, so it holds no secret; others may not, because paths and hosts are private too. */
export async function saveState(path: string, state: State): Promise<void> {
  await makeFolder(path);
  await writeAtomically(path, `${JSON.stringify(state, undefined, 2)}\n`, 0o600);
}

/** The folder of a file, made for this user alone where it is missing. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
}

/** Settings of the last start, secrets included. Throws `start_failed` when a secret is gone: without its key the relay would be open. */
export async function savedSettings(state: State, paths: BackgroundPaths): Promise<ExplicitSettings> {
  const texts = z
    .record(z.string(), z.string())
    .catch({})
    .parse(parseJson(textIfFile(paths.secretFile)));
  const given: Partial<Record<SettingName, { value: string; origin: string }>> = {};
  for (const [name, place] of Object.entries(state.settings)) if (isSetting(name)) given[name] = place;
  for (const [name, origin] of Object.entries(state.secrets)) {
    const value = texts[name];
    if (!isSetting(name)) continue;
    if (value === undefined) {
      throw new RelayError("start_failed", `The value of ${origin} is missing in ${paths.secretFile}.`, {
        hint: `Give it again: \`plansocket start ${SETTINGS[name].flags[0] ?? ""} …\`.`,
      });
    }
    given[name] = { value, origin };
  }
  return given;
}

/** The two halves of settings for the state file; the secret one is written to its own file. */
export async function keepSettings(
  given: ExplicitSettings,
  paths: BackgroundPaths,
): Promise<Pick<State, "settings" | "secrets">> {
  const { open, secret } = splitSecrets(given);
  const texts = Object.fromEntries(Object.entries(secret).map(([name, { value }]) => [name, value]));
  if (Object.keys(texts).length === 0) await rm(paths.secretFile, { force: true });
  else await writeAtomically(paths.secretFile, `${JSON.stringify(texts, undefined, 2)}\n`, 0o600);
  return {
    settings: open,
    secrets: Object.fromEntries(Object.entries(secret).map(([name, { origin }]) => [name, origin])),
  };
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}
