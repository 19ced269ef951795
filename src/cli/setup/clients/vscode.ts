import { join } from "node:path";
import { OUTPUT_TOKENS, PROVIDER, type ClientSetup, type Target } from "../client.ts";
import { putJsonItem } from "../formats/json-edit.ts";
import { inHome } from "../place.ts";

/** VS Code 1.122 and newer read models of one's own from a list beside the user's settings ("Custom Endpoint"). */
export const vscode: ClientSetup = {
  title: "VS Code",
  command: "code",
  replaces: { form: "${apiKey}", pattern: /\$\{apiKey\}/ },
  plan(target) {
    const path = join(userFolder(target), "chatLanguageModels.json");
    return {
      files: [
        {
          path,
          edit: (before) => putJsonItem({ path, isList: true }, before, [], entryOf(target), { name: PROVIDER }),
        },
      ],
      next: ["In VS Code's chat choose a model of plansocket; a new list shows after a restart."],
    };
  },
};

/**
 * The key stands among the headers: VS Code takes an `apiKey` for the name of one in its own secret storage and never
 * reads the text itself. It leaves out its own credentials where this header is there.
 */
function entryOf({ v1, key, hasKey, models }: Target) {
  return {
    name: PROVIDER,
    vendor: "customendpoint",
    apiType: "responses",
    models: models.map(({ id, name, contextTokens, takesImages }) => ({
      id,
      name: `${name} (${PROVIDER})`,
      url: `${v1}/responses`,
      ...(hasKey ? { requestHeaders: { "x-api-key": key } } : {}),
      toolCalling: true,
      vision: takesImages,
      thinking: true,
      maxInputTokens: contextTokens - OUTPUT_TOKENS,
      maxOutputTokens: OUTPUT_TOKENS,
    })),
  };
}

function userFolder(target: Target): string {
  if (process.platform === "darwin") return inHome(target, "Library", "Application Support", "Code", "User");
  const roaming = target.env["APPDATA"];
  if (process.platform === "win32" && roaming) return join(roaming, "Code", "User");
  return join(target.env["XDG_CONFIG_HOME"] || inHome(target, ".config"), "Code", "User");
}
