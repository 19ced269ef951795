import type { ModelInfo } from "../../src/codex/models.ts";
import { DEMO_CATALOGUE, modelsReply } from "../../src/demo/catalogue.ts";
import type { JsonObject } from "../../src/lib/json.ts";

/** Older clients are told to upgrade; Lite models came later than the rest. */
const MINIMUM_VERSION = "0.100.0";
const MINIMUM_LITE_VERSION = "0.144.0";

export function minimumVersion(model: ModelInfo): string {
  return model.use_responses_lite === true ? MINIMUM_LITE_VERSION : MINIMUM_VERSION;
}

export function isOlder(version: string, than: string): boolean {
  const parts = (text: string) => text.split(/[.-]/).slice(0, 3).map(Number);
  const [left, right] = [parts(version), parts(than)];
  for (let index = 0; index < 3; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** The body of /models for a client: models that are too new for it are left out. */
export function modelsFor(clientVersion: string): { models: JsonObject[] } {
  const visible = DEMO_CATALOGUE.models.filter((model) => !isOlder(clientVersion, minimumVersion(model)));
  const { models } = modelsReply(visible);
  return {
    models: models.map((entry, index) => {
      const model = visible[index];
      return model ? { ...entry, minimal_client_version: minimumVersion(model) } : entry;
    }),
  };
}
