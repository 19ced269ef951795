import { OUTPUT_TOKENS, PROVIDER, type ClientSetup, type Target, type TargetModel } from "../client.ts";
import { editJson, readJson, type JsonEdit } from "../formats/json-edit.ts";
import { firstPresent, inFolder } from "../place.ts";

/** A client with opencode's configuration under a name of its own. */
interface Flavor {
  readonly title: string;
  /** Its command and its folder. */
  readonly command: string;
  /** Its files; all are read, and what is in the first comes before the others. */
  readonly files: readonly string[];
  /** Which of them is written where there is none. */
  readonly usualFile: string;
  readonly schema: string;
  /** What else to know, after how to start it. */
  readonly remarks?: readonly string[];
}

export const opencode = clientOf({
  title: "opencode",
  command: "opencode",
  files: ["opencode.jsonc", "opencode.json", "config.json"],
  usualFile: "opencode.json",
  schema: "https://opencode.ai/config.json",
});

/** Kilo Code from version 7 on: its CLI and its extension for VS Code read the same files. */
export const kilo = clientOf({
  title: "Kilo Code",
  command: "kilo",
  files: ["opencode.jsonc", "opencode.json", "kilo.jsonc", "kilo.json", "config.json"],
  usualFile: "kilo.jsonc",
  schema: "https://app.kilo.ai/config.json",
  remarks: ["Kilo Code in VS Code reads the same file; reload its window."],
});

function clientOf({ title, command, files, usualFile, schema, remarks = [] }: Flavor): ClientSetup {
  return {
    title,
    command,
    replaces: { form: "{env:NAME}", pattern: /\{(?:env|file):[^}]+\}/ },
    plan(target) {
      const place = (name: string) => inFolder(target, "XDG_CONFIG_HOME", [".config"], command, name);
      const file = { path: firstPresent(files.map(place), place(usualFile)) };
      return {
        files: [{ path: file.path, edit: (before) => withProvider(file, before, target, schema) }],
        next: [`Start \`${command}\`, or \`${command} run --model ${PROVIDER}/${target.model} …\`.`, ...remarks],
      };
    },
  };
}

function withProvider(file: { readonly path: string }, before: string, target: Target, schema: string): string {
  const present = readJson(file, before);
  const { options, ...rest } = opencodeProvider(target);
  // Single options, so that those that its owner added stay.
  const edits: JsonEdit[] = [
    ...Object.entries(rest).map(([key, value]): JsonEdit => [["provider", PROVIDER, key], value]),
    ...Object.entries(options).map(([key, value]): JsonEdit => [["provider", PROVIDER, "options", key], value]),
  ];
  if (before.trim() === "") edits.unshift([["$schema"], schema]);
  if (target.isDefault || present["model"] === undefined) {
    edits.push([["model"], `${PROVIDER}/${target.model}`]);
  }
  return editJson(file, before, edits);
}

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
