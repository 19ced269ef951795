import { existsSync } from "node:fs";
import { RelayError } from "../../../lib/errors.ts";
import { PROVIDER, type ClientSetup, type Target } from "../client.ts";
import { putYamlItems, readYaml, setYaml, type YamlItem } from "../formats/yaml-edit.ts";
import { inFolder } from "../place.ts";

/** Keys that Continue asks of every configuration. */
const REQUIRED = { name: "Local Config", version: "1.0.0", schema: "v1" };

export const continueDev: ClientSetup = {
  title: "Continue",
  command: "cn",
  replaces: { form: "${{ NAME }}", pattern: /\$\{\{\s*[^}\s]+\s*\}\}/ },
  plan(target) {
    const place = (name: string) => inFolder(target, "CONTINUE_GLOBAL_DIR", [".continue"], name);
    const path = place("config.yaml");
    if (!existsSync(path) && existsSync(place("config.json"))) {
      throw new RelayError(
        "setup_failed",
        `${place("config.json")} is in the old form, and a new file beside it would hide it.`,
        {
          hint: "Let Continue move it to config.yaml (docs.continue.dev, YAML migration), then try again.",
        },
      );
    }
    return {
      files: [{ path, edit: (before) => continueConfig(path, before, target) }],
      next: ["Reload the editor's window; the models are in Continue's list."],
    };
  },
};

/** A configuration of Continue with the relay's models in it; `path` is named where `before` cannot be read. */
export function continueConfig(path: string, before: string, target: Pick<Target, "v1" | "key" | "models">): string {
  const present = readYaml(path, before);
  const text = Object.entries(REQUIRED).reduce(
    (text, [key, value]) => (present[key] === undefined ? setYaml(path, text, [key], value) : text),
    before,
  );
  const items = target.models.map(({ id, contextTokens, takesImages }): YamlItem => ({
    name: `${id} (${PROVIDER})`,
    provider: "openai",
    model: id,
    apiBase: target.v1,
    apiKey: target.key,
    contextLength: contextTokens,
    roles: ["chat", "edit", "apply"],
    capabilities: takesImages ? ["tool_use", "image_input"] : ["tool_use"],
  }));
  return putYamlItems(path, text, "models", items, "name");
}
