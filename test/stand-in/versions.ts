import type { ModelInfo } from "../../src/codex/models.ts";
import { DEMO_CATALOGUE, modelsReply } from "../../src/demo/catalogue.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { isOlder } from "../../src/lib/version-order.ts";

/** Older clients are told to upgrade. Lite models came later than the rest, gpt-6.2 later still (contract 0.19). */
export function minimumVersion(model: ModelInfo): string {
  if (model.slug.startsWith("gpt-6.2-")) return "0.166.0";
  return model.use_responses_lite === true ? "0.144.0" : "0.100.0";
}

/** The body of /models for a client: models that are too new for it are left out. */
export function modelsFor(clientVersion: string, all = DEMO_CATALOGUE.models): { models: JsonObject[] } {
  const visible = all.filter((model) => !isOlder(clientVersion, minimumVersion(model)));
  const { models } = modelsReply(visible);
  return {
    models: models.map((entry, index) => {
      const model = visible[index];
      return model ? { ...entry, minimal_client_version: minimumVersion(model) } : entry;
    }),
  };
}
