import type { ClientSetup, Target } from "../client.ts";
import { editJson } from "../formats/json-edit.ts";
import { inFolder } from "../place.ts";

/** Claude Code reads variables from the `env` of its settings; nothing else there changes. */
export const claudeCode: ClientSetup = {
  title: "Claude Code",
  command: "claude",
  plan(target) {
    const path = inFolder(target, "CLAUDE_CONFIG_DIR", [".claude"], "settings.json");
    const variables = claudeVariables(target);
    return {
      files: [
        {
          path,
          edit: (before) =>
            editJson(
              { path },
              before,
              Object.entries(variables).map(([name, value]) => [["env", name], value]),
            ),
        },
      ],
      next: ["Start `claude` as always; /status shows the base URL."],
    };
  },
};

/**
 * The token goes as `ANTHROPIC_AUTH_TOKEN`: unlike an API key Claude Code does not ask about it, and it comes before a
 * login of its own.
 */
export function claudeVariables(target: Pick<Target, "origin" | "key" | "model" | "smallModel" | "models">) {
  const [first] = target.models;
  return {
    ANTHROPIC_BASE_URL: target.origin,
    ANTHROPIC_AUTH_TOKEN: target.key,
    ANTHROPIC_MODEL: target.model,
    ANTHROPIC_DEFAULT_OPUS_MODEL: target.model,
    ANTHROPIC_DEFAULT_SONNET_MODEL: target.model,
    ANTHROPIC_DEFAULT_HAIKU_MODEL: target.smallModel,
    // The name that older releases know.
    ANTHROPIC_SMALL_FAST_MODEL: target.smallModel,
    // For models that it does not know it believes in a window of a million tokens, and compacts too late.
    ...(first === undefined ? {} : { CLAUDE_CODE_MAX_CONTEXT_TOKENS: String(first.contextTokens) }),
    // Lists the relay's models in its /model picker.
    CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY: "1",
  };
}
