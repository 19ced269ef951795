import { z } from "zod";
import { SETTINGS, type Setting } from "./settings.ts";

/** The config file as a JSON Schema, for editors to complete and check by. */
export function configSchema(): object {
  const properties = Object.values<Setting>(SETTINGS).map((setting) => [setting.key, propertyOf(setting)] as const);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "plansocket settings",
    type: "object",
    properties: { $schema: { type: "string" }, ...Object.fromEntries(properties) },
    additionalProperties: false,
  };
}

function propertyOf(setting: Setting): object {
  const isPlain = ["string", "number", "boolean"].includes(typeof setting.default) || Array.isArray(setting.default);
  const shown = isPlain ? { default: setting.default } : {};
  return { description: `${setting.help}.`, ...typeOf(setting), ...shown };
}

/** Settings that are numbers or switches in the end also begin as such in a file; others are text made into something. */
function typeOf({ schema }: Setting): Record<string, unknown> {
  const [output, input] = (["output", "input"] as const).map((io) => {
    const { $schema: _version, ...type } = z.toJSONSchema(schema(), { io, unrepresentable: "any" });
    return type;
  });
  return output && "type" in output && output["type"] !== "object" ? output : (input ?? {});
}
