import { OUTPUT_TOKENS, PROVIDER, type ClientSetup, type Target, type TargetModel } from "../client.ts";
import { editJson, readJson, type JsonEdit } from "../formats/json-edit.ts";
import { firstPresent, inFolder } from "../place.ts";

export const opencode: ClientSetup = {
  title: "opencode",
  command: "opencode",
  plan(target) {
    const place = (name: string) => inFolder(target, "XDG_CONFIG_HOME", [".config"], "opencode", name);
    // opencode reads all three, and the first of these comes before the others.
    const names = ["opencode.jsonc", "opencode.json", "config.json"];
    const file = { path: firstPresent(names.map(place), place("opencode.json")) };
    return {
      files: [
        {
          path: file.path,
          edit(before) {
            const present = readJson(file, before);
            const { options, ...rest } = opencodeProvider(target);
            // Single options, so that those that its owner added stay.
            const edits: JsonEdit[] = [
              ...Object.entries(rest).map(([key, value]): JsonEdit => [["provider", PROVIDER, key], value]),
              ...Object.entries(options).map(([key, value]): JsonEdit => [
                ["provider", PROVIDER, "options", key],
                value,
              ]),
            ];
            if (before.trim() === "") edits.unshift([["$schema"], "https://opencode.ai/config.json"]);
            if (target.isDefault || present["model"] === undefined) {
              edits.push([["model"], `${PROVIDER}/${target.model}`]);
            }
            return editJson(file, before, edits);
          },
        },
      ],
      next: [`Start \`opencode\`, or \`opencode run --model ${PROVIDER}/${target.model} …\`.`],
    };
  },
};

/** The provider as opencode's configuration takes it. */
export function opencodeProvider({ v1, key, models }: Pick<Target, "v1" | "key" | "models">) {
  return {
    npm: "@ai-sdk/openai-compatible",
    name: PROVIDER,
    options: { baseURL: v1, apiKey: key },
    models: Object.fromEntries(models.map((model) => [model.id, entryOf(model)])),
  };
}

function entryOf({ name, contextTokens, takesImages }: TargetModel) {
  return {
    name,
    tool_call: true,
    reasoning: true,
    attachment: takesImages,
    modalities: { input: takesImages ? ["text", "image"] : ["text"], output: ["text"] },
    limit: { context: contextTokens, output: OUTPUT_TOKENS },
  };
}
