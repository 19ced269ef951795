import { isObject } from "../../../lib/json.ts";
import { PROVIDER, type ClientSetup, type Target } from "../client.ts";
import { editJson, readJson, type JsonEdit } from "../formats/json-edit.ts";
import { inFolder } from "../place.ts";
import { piProvider } from "./pi.ts";

/** OpenClaw's settings are JSON5, and it does not start with keys that it does not know. */
export const openclaw: ClientSetup = {
  title: "OpenClaw",
  command: "openclaw",
  plan(target) {
    const path =
      target.env["OPENCLAW_CONFIG_PATH"] || inFolder(target, "OPENCLAW_STATE_DIR", [".openclaw"], "openclaw.json");
    const file = { path, isJson5: true };
    return {
      files: [{ path, edit: (before) => editJson(file, before, editsOf(target, readJson(file, before))) }],
      next: ["Restart the gateway: `openclaw gateway restart`."],
    };
  },
};

function editsOf(target: Target, present: Record<string, unknown>): JsonEdit[] {
  // pi's vocabulary for providers and models is OpenClaw's too.
  const edits: JsonEdit[] = Object.entries(piProvider({ ...target, key: literal(target.key) })).map(([key, value]) => [
    ["models", "providers", PROVIDER, key],
    value,
  ]);
  const agents = isObject(present["agents"]) ? present["agents"] : {};
  const defaults = isObject(agents["defaults"]) ? agents["defaults"] : {};
  const chosen = `${PROVIDER}/${target.model}`;
  if (typeof defaults["model"] === "string") {
    if (target.isDefault) edits.push([["agents", "defaults", "model"], chosen]);
  } else {
    const primary = isObject(defaults["model"]) ? defaults["model"]["primary"] : undefined;
    if (target.isDefault || primary === undefined) edits.push([["agents", "defaults", "model", "primary"], chosen]);
  }
  const listed = defaults["models"];
  if (isObject(listed)) {
    // Where this table exists it also says which models may be chosen.
    for (const { id } of target.models) {
      const name = `${PROVIDER}/${id}`;
      if (!(name in listed)) edits.push([["agents", "defaults", "models", name], {}]);
    }
  }
  return edits;
}

/** A text that OpenClaw reads as itself: it replaces `${NAME}` unless another `$` stands before it. */
function literal(text: string): string {
  return text.replaceAll(/\$\{[A-Z_][A-Z0-9_]*\}/g, "$$$&");
}
