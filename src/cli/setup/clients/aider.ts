import type { ClientSetup } from "../client.ts";
import { setYaml } from "../formats/yaml-edit.ts";
import { inHome } from "../place.ts";

export const aider: ClientSetup = {
  title: "aider",
  command: "aider",
  plan(target) {
    const path = inHome(target, ".aider.conf.yml");
    const values = {
      "openai-api-base": target.v1,
      "openai-api-key": target.key,
      // The prefix is aider's own, for a server that speaks OpenAI's language.
      model: `openai/${target.model}`,
      "weak-model": `openai/${target.smallModel}`,
    };
    return {
      files: [
        {
          path,
          edit: (before) =>
            Object.entries(values).reduce((text, [name, value]) => setYaml(path, text, [name], value), before),
        },
      ],
      next: [
        "Start `aider` as always. A `.aider.conf.yml` in the project comes before this one.",
        "It warns that it does not know the model's price and context; that can be ignored.",
      ],
    };
  },
};
