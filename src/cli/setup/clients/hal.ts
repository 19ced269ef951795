import { existsSync } from "node:fs";
import type { ClientSetup, Target } from "../client.ts";
import { editJson } from "../formats/json-edit.ts";
import { setYaml } from "../formats/yaml-edit.ts";
import { inHome } from "../place.ts";

/**
 * HaL has kept its settings in three places over time; the one that is there is edited. It picks the provider by the
 * model's name, and models with `gpt` in it belong to `openai`.
 */
export const hal: ClientSetup = {
  title: "HaL",
  command: "hal",
  plan(target) {
    const places = [["system", "config.yaml"], ["config.yaml"], ["config.json"]];
    const path = places.map((parts) => inHome(target, ".hal", ...parts)).find((each) => existsSync(each));
    const edits: [string[], string][] = [
      [["providers", "openai", "api_base"], target.v1],
      [["providers", "openai", "api_key"], target.key],
      [["agents", "defaults", "model"], target.model],
    ];
    if (path === undefined) return { files: [], instructions: instructions(target), next: [] };
    const edit = (before: string) =>
      path.endsWith(".json")
        ? editJson({ path }, before, edits)
        : edits.reduce((text, [names, value]) => setYaml(path, text, names, value), before);
    return {
      files: [{ path, edit }],
      next: ["Restart HaL. A key for `openai` in its auth.yaml comes before this one."],
    };
  },
};

function instructions({ v1, key, model }: Target): string {
  return [
    "HaL has no configuration here yet. Run it once, then try again, or put this into its config.yaml:",
    "",
    "  providers:",
    "    openai:",
    `      api_base: ${v1}`,
    `      api_key: ${key}`,
    "  agents:",
    "    defaults:",
    `      model: ${model}`,
  ].join("\n");
}
