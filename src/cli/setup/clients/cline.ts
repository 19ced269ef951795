import { join } from "node:path";
import { isObject } from "../../../lib/json.ts";
import type { ClientSetup, Target } from "../client.ts";
import { editJson, readJson, type JsonEdit } from "../formats/json-edit.ts";
import { inHome } from "../place.ts";

/** Cline's own name for a provider with a base URL. */
const COMPATIBLE = "openai-compatible";

/** Writes what `cline auth openai --baseurl …` writes. */
export const cline: ClientSetup = {
  title: "Cline",
  command: "cline",
  plan(target) {
    const path = providersFile(target);
    return {
      files: [{ path, edit: (before) => clineProviders(path, before, target, new Date()) }],
      next: [
        "Start `cline` as always.",
        `In the editor: Settings › API Provider "OpenAI Compatible", base URL ${target.v1}, model ${target.model}.`,
      ],
    };
  },
};

function providersFile({ env, ...target }: Target): string {
  const folder = env["CLINE_DATA_DIR"] || join(env["CLINE_DIR"] || inHome({ env, ...target }, ".cline"), "data");
  return env["CLINE_PROVIDER_SETTINGS_PATH"] || join(folder, "settings", "providers.json");
}

/** The text of Cline's providers file with the relay in it, chosen. `now` goes into the file where something changes. */
export function clineProviders(
  path: string,
  before: string,
  { v1, key, model }: Pick<Target, "v1" | "key" | "model">,
  now: Date,
): string {
  const settings = { provider: COMPATIBLE, apiKey: key, model, baseUrl: v1 };
  const edits: JsonEdit[] = Object.entries(settings).map(([name, value]) => [
    ["providers", COMPATIBLE, "settings", name],
    value,
  ]);
  const present = readJson({ path }, before);
  if (present["version"] === undefined) edits.unshift([["version"], 1]);
  edits.push([["lastUsedProvider"], COMPATIBLE]);
  if (present["modes"] === undefined) edits.push([["modes"], {}]);
  const providers = isObject(present["providers"]) ? present["providers"] : {};
  const own = providers[COMPATIBLE];
  const old = isObject(own) && isObject(own["settings"]) ? own["settings"] : {};
  if (Object.entries(settings).some(([name, value]) => old[name] !== value)) {
    edits.push([["providers", COMPATIBLE, "updatedAt"], now.toISOString()]);
    edits.push([["providers", COMPATIBLE, "tokenSource"], "manual"]);
  }
  return editJson({ path }, before, edits);
}
