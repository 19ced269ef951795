import { RelayError } from "../../../lib/errors.ts";
import { isObject } from "../../../lib/json.ts";
import { PROVIDER, type ClientSetup, type Plan, type Target } from "../client.ts";
import { editToml, readToml, type TomlValue } from "../formats/toml-edit.ts";
import { inFolder } from "../place.ts";

/**
 * The Codex CLI gets a provider in config.toml and a profile of its own in `plansocket.config.toml`, which it lays
 * over config.toml with `--profile`. Its default provider stays, and its login is none of this command's business.
 */
export const codex: ClientSetup = {
  title: "Codex CLI",
  command: "codex",
  plan(target) {
    const { config, profile } = filesOf(target);
    const choice = { model: target.model, model_provider: PROVIDER };
    return {
      files: [
        {
          path: config,
          edit(before) {
            refuseOldProfile(config, before);
            const table = ["model_providers", PROVIDER];
            const withProvider = editToml(config, before, table, providerOf(target, readToml(config, before)));
            return target.isDefault ? editToml(config, withProvider, [], choice) : withProvider;
          },
        },
        { path: profile, edit: (before) => editToml(profile, before, [], choice) },
      ],
      next: target.isDefault
        ? ["Start `codex` as always."]
        : [
            `Start it with \`codex --profile ${PROVIDER}\`; without, the Codex CLI works as before.`,
            `Releases before profile files: \`codex -c model_provider=${PROVIDER} -m ${target.model}\`.`,
          ],
    };
  },
  planAsBuiltin,
};

/**
 * The Codex CLI offers web search and image generation to its built-in provider alone, and asks its account's base URL
 * for the limits of `/status`: both lead to the relay then. To that provider it sends its own login, if it has one, and no key
 * (0.171.0: only `codex exec` can be given one, as CODEX_API_KEY). Throws `setup_failed` for a relay with a key.
 */
function planAsBuiltin(target: Target): Plan {
  if (target.hasKey) {
    throw new RelayError(
      "setup_failed",
      "This relay asks for a key, and the Codex CLI sends none to its built-in provider.",
      { hint: "Use a relay without a key on this machine, or leave out --as-builtin." },
    );
  }
  const { config, profile } = filesOf(target);
  const path = target.isDefault ? config : profile;
  const provider = {
    model: target.model,
    model_provider: "openai",
    openai_base_url: target.v1,
    chatgpt_base_url: `${target.origin}/backend-api/`,
  };
  // Both reach into the account beyond its models; the relay passes neither on.
  const features = { apps: false, plugins: false };
  return {
    files: [
      {
        path,
        edit: (before) => editToml(path, editToml(path, before, [], provider), ["features"], features),
      },
    ],
    next: [
      target.isDefault ? "Start `codex` as always." : `Start it with \`codex --profile ${PROVIDER}\`.`,
      "Web search and the limits of /status go through the relay; ChatGPT apps and plugins are off.",
      "It works while the relay asks for no key.",
    ],
  };
}

function filesOf(target: Target): { readonly config: string; readonly profile: string } {
  return {
    config: inFolder(target, "CODEX_HOME", [".codex"], "config.toml"),
    profile: inFolder(target, "CODEX_HOME", [".codex"], `${PROVIDER}.config.toml`),
  };
}

function providerOf({ v1, key, hasKey }: Target, present: Record<string, unknown>): Record<string, TomlValue> {
  const providers = isObject(present["model_providers"]) ? present["model_providers"] : {};
  const own = isObject(providers[PROVIDER]) ? providers[PROVIDER] : {};
  return {
    name: PROVIDER,
    base_url: v1,
    wire_api: "responses",
    // One connection a session; the Codex CLI takes to HTTP by itself where that does not work.
    ...("supports_websockets" in own ? {} : { supports_websockets: true }),
    // A provider without a key variable sends no key, which is right for a relay that asks for none.
    ...(hasKey ? { experimental_bearer_token: key } : {}),
  };
}

/** The Codex CLI refuses a profile file beside a table of the same name in config.toml. */
function refuseOldProfile(path: string, text: string): void {
  const { profile, profiles } = readToml(path, text);
  const isSelected = profile === PROVIDER;
  if (!isSelected && !(isObject(profiles) && PROVIDER in profiles)) return;
  const what = isSelected ? `profile = "${PROVIDER}"` : `[profiles.${PROVIDER}]`;
  throw new RelayError(
    "setup_failed",
    `${path} has ${what}, which the Codex CLI does not accept beside a profile file.`,
    {
      hint: "Remove it there, then try again.",
    },
  );
}
