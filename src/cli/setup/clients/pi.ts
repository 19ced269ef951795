import { OUTPUT_TOKENS, PROVIDER, type ClientSetup, type Target } from "../client.ts";
import { editJson, readJson, type JsonEdit } from "../formats/json-edit.ts";
import { inFolder } from "../place.ts";

export const pi: ClientSetup = {
  title: "pi",
  command: "pi",
  plan(target) {
    const models = inFolder(target, "PI_CODING_AGENT_DIR", [".pi", "agent"], "models.json");
    const settings = inFolder(target, "PI_CODING_AGENT_DIR", [".pi", "agent"], "settings.json");
    const edits: JsonEdit[] = Object.entries(piProvider({ ...target, key: literal(target.key) })).map(
      ([key, value]) => [["providers", PROVIDER, key], value],
    );
    return {
      files: [
        { path: models, edit: (before) => editJson({ path: models }, before, edits) },
        {
          path: settings,
          edit(before) {
            const hasDefault = readJson({ path: settings }, before)["defaultProvider"] !== undefined;
            if (hasDefault && !target.isDefault) return before;
            return editJson({ path: settings }, before, [
              [["defaultProvider"], PROVIDER],
              [["defaultModel"], target.model],
            ]);
          },
        },
      ],
      next: [`Start \`pi --provider ${PROVIDER} --model ${target.model}\`, or choose the model with /model.`],
    };
  },
};

/** A text that pi reads as itself: `$` begins a variable there, and a leading `!` a command that it runs. */
function literal(text: string): string {
  return text.replaceAll("$", "$$$$").replace(/^!/, "$$!");
}

/** A provider as pi's models.json and its extensions take it; `key` in pi's own notation. */
export function piProvider({ v1, key, models }: Pick<Target, "v1" | "key" | "models">) {
  return {
    baseUrl: v1,
    api: "openai-completions",
    apiKey: key,
    models: models.map(({ id, name, contextTokens, takesImages }) => ({
      id,
      name,
      reasoning: true,
      input: takesImages ? ["text", "image"] : ["text"],
      cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
      contextWindow: contextTokens,
      maxTokens: OUTPUT_TOKENS,
    })),
  };
}
