import { OUTPUT_TOKENS, PROVIDER, type ClientSetup, type Target } from "../client.ts";
import { putJsonItem } from "../formats/json-edit.ts";
import { inHome } from "../place.ts";

/** Factory's Droid keeps models of one's own in a list; `openai` speaks the Responses API there. */
export const droid: ClientSetup = {
  title: "Droid",
  command: "droid",
  replaces: { form: "${NAME}", pattern: /\$\{[^}]+\}/ },
  plan(target) {
    const path = inHome(target, ".factory", "settings.json");
    return {
      files: [
        {
          path,
          edit: (before) =>
            droidModels(target).reduce(
              (text, model) => putJsonItem({ path }, text, ["customModels"], model, { displayName: model.displayName }),
              before,
            ),
        },
      ],
      next: [`Start \`droid\` and choose a model that ends in (${PROVIDER}) with /model.`],
    };
  },
};

/** The relay's models as Droid's settings list them under `customModels`. */
export function droidModels({ v1, key, models }: Pick<Target, "v1" | "key" | "models">) {
  return models.map(({ id, name, takesImages }) => ({
    model: id,
    displayName: `${name} (${PROVIDER})`,
    baseUrl: v1,
    apiKey: key,
    provider: "openai",
    maxOutputTokens: OUTPUT_TOKENS,
    // Unless told otherwise it sends images to every model of this provider.
    ...(takesImages ? {} : { noImageSupport: true }),
  }));
}
