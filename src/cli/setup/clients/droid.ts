import { OUTPUT_TOKENS, PROVIDER, type ClientSetup } from "../client.ts";
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
            target.models.reduce((text, { id, name, takesImages }) => {
              const displayName = `${name} (${PROVIDER})`;
              const entry = {
                model: id,
                displayName,
                baseUrl: target.v1,
                apiKey: target.key,
                provider: "openai",
                maxOutputTokens: OUTPUT_TOKENS,
                // Unless told otherwise it sends images to every model of this provider.
                ...(takesImages ? {} : { noImageSupport: true }),
              };
              return putJsonItem({ path }, text, ["customModels"], entry, { displayName });
            }, before),
        },
      ],
      next: [`Start \`droid\` and choose a model that ends in (${PROVIDER}) with /model.`],
    };
  },
};
