import type { ClientSetup } from "../client.ts";
import { editJson } from "../formats/json-edit.ts";
import { inFolder } from "../place.ts";

export const qwenCode: ClientSetup = {
  title: "Qwen Code",
  command: "qwen",
  replaces: { form: "$NAME", pattern: /\$(?:\w+|\{[^}]+\})/ },
  plan(target) {
    const path = inFolder(target, "QWEN_HOME", [".qwen"], "settings.json");
    return {
      files: [
        {
          path,
          edit: (before) =>
            editJson({ path }, before, [
              [["security", "auth", "selectedType"], "openai"],
              [["security", "auth", "apiKey"], target.key],
              [["security", "auth", "baseUrl"], target.v1],
              [["model", "name"], target.model],
            ]),
        },
      ],
      next: ["Start `qwen` as always. OPENAI_* variables that are set come before these settings."],
    };
  },
};
