import { RelayError } from "../../../lib/errors.ts";
import { isObject } from "../../../lib/json.ts";
import { PROVIDER, type ClientSetup, type Target } from "../client.ts";
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
    const config = inFolder(target, "CODEX_HOME", [".codex"], "config.toml");
    const profile = inFolder(target, "CODEX_HOME", [".codex"], `${PROVIDER}.config.toml`);
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
};

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
