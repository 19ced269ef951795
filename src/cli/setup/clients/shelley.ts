import { PROVIDER, type ClientSetup } from "../client.ts";

/** Shelley keeps its models in a database behind its own web page, so there is no file to write. */
export const shelley: ClientSetup = {
  title: "Shelley",
  command: "shelley",
  plan({ v1, key, model }) {
    const entry = {
      display_name: `${model} (${PROVIDER})`,
      provider_type: "openai-responses",
      endpoint: v1,
      api_key: key,
      model_name: model,
      max_tokens: 200_000,
    };
    return {
      files: [],
      instructions: [
        "Shelley keeps models in its database. In its page: models menu › Add / Remove Models… › Add, with",
        "",
        "  provider   OpenAI (Responses API)",
        `  endpoint   ${v1}`,
        `  API key    ${key}`,
        `  model      ${model}`,
        "",
        "or, while it runs on its usual port:",
        "",
        `  curl http://localhost:9000/api/custom-models -H 'Content-Type: application/json' -d '${JSON.stringify(entry)}'`,
      ].join("\n"),
      next: [],
    };
  },
};
