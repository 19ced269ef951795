import { OUTPUT_TOKENS, PROVIDER, type ClientSetup } from "../client.ts";
import { editJson } from "../formats/json-edit.ts";
import { inFolder } from "../place.ts";

/** Zed reads the key from a variable named after the provider, never from its settings. */
const KEY_VARIABLE = `${PROVIDER.toUpperCase()}_API_KEY`;

export const zed: ClientSetup = {
  title: "Zed",
  command: "zed",
  plan(target) {
    const path = inFolder(target, "XDG_CONFIG_HOME", [".config"], "zed", "settings.json");
    const place = ["language_models", "openai_compatible", PROVIDER];
    const models = target.models.map(({ id, name, contextTokens, takesImages }) => ({
      name: id,
      display_name: name,
      max_tokens: contextTokens,
      max_output_tokens: OUTPUT_TOKENS,
      capabilities: { tools: true, images: takesImages, parallel_tool_calls: true, prompt_cache_key: true },
    }));
    return {
      files: [
        {
          path,
          edit: (before) =>
            editJson({ path }, before, [
              [[...place, "api_url"], target.v1],
              [[...place, "available_models"], models],
            ]),
        },
      ],
      next: [
        `Zed takes the key from its provider settings or from ${KEY_VARIABLE}; ${target.hasKey ? "enter the relay's key there" : "any text will do"}.`,
      ],
    };
  },
};
