import { defineCommand, type ArgsDef } from "citty";
import { loadSettings } from "../../config/load.ts";
import type { SettingName } from "../../config/settings.ts";
import { RelayError } from "../../lib/errors.ts";
import { nearest } from "../../lib/nearest.ts";
import { citty, parseFlags, type OwnFlag, type ParsedFlags } from "../flags.ts";
import { addKey, LIMIT_FLAGS } from "../keys/add.ts";
import { listKeys } from "../keys/list.ts";
import { keyPlace, usagePlace } from "../keys/key-place.ts";
import { revokeKey } from "../keys/revoke.ts";
import { warnOf } from "../output.ts";
import { STORE_SETTINGS } from "../store.ts";

const VERBS: readonly string[] = ["add", "list", "revoke"];
const SETTINGS_USED: readonly SettingName[] = ["stateDir", ...STORE_SETTINGS];

const OWN: Readonly<Record<string, OwnFlag>> = {
  ...LIMIT_FLAGS,
  json: { help: "with add and list: print JSON" },
};

const ARGS: ArgsDef = {
  verb: { type: "positional", required: false, description: "add, list or revoke" },
  name: { type: "positional", required: false, description: "name of the key, after add and revoke" },
  ...citty(OWN, SETTINGS_USED),
};

export const keys = defineCommand({
  meta: {
    name: "keys",
    description:
      "A key for each client, with limits of its own. Once there is a key, the relay asks every request for one; relays that run take changes over at once.",
  },
  args: ARGS,
  async run({ rawArgs: [verb, ...rest] }) {
    if (verb === undefined || !VERBS.includes(verb)) throw unknownVerb(verb);
    const flags = parseFlags(rest, OWN, { takesOperands: true });
    refuseStrayFlags(verb, flags);
    const isJson = flags.own["json"] === true;
    const loaded = await loadSettings(flags.settings, process.env, { needs: SETTINGS_USED, toleratesFile: true });
    warnOf(loaded.warnings);
    const file = await keyPlace(loaded.settings, process.env);
    if (verb === "list") return listKeys(file, await usagePlace(loaded.settings, process.env), isJson);
    const name = nameIn(verb, flags.operands);
    return verb === "add" ? addKey(file, name, flags.own) : revokeKey(file, name);
  },
});

function nameIn(verb: string, [name, more]: readonly string[]): string {
  if (name === undefined || more !== undefined) {
    throw new RelayError("usage", name === undefined ? "Which key?" : `Unexpected argument '${more?.slice(0, 60)}'.`, {
      hint: `Write \`plansocket keys ${verb} NAME\`.`,
    });
  }
  return name;
}

/** A limit that does nothing would be believed to do something. */
function refuseStrayFlags(verb: string, { own, operands }: ParsedFlags): void {
  const stray = Object.keys(own).find((flag) => (flag === "json" ? verb === "revoke" : verb !== "add"));
  if (stray !== undefined) {
    throw new RelayError("usage", `--${stray} has no meaning for 'keys ${verb}'.`, {
      hint: stray === "json" ? "Leave it out." : "Limits are set when a key is made: revoke it, then add it anew.",
    });
  }
  const [extra] = operands;
  if (verb === "list" && extra !== undefined) {
    throw new RelayError("usage", `Unexpected argument '${extra.slice(0, 60)}'.`, {
      hint: "Write `plansocket keys list`.",
    });
  }
}

function unknownVerb(verb: string | undefined): RelayError {
  const words = "add NAME, list or revoke NAME";
  return verb === undefined
    ? new RelayError("usage", "keys needs to know what to do.", { hint: `Write ${words} after it.` })
    : new RelayError("usage", `Unknown 'keys ${verb.slice(0, 40)}'.`, {
        hint: `Did you mean 'keys ${nearest(verb, VERBS)}'? It is ${words}.`,
      });
}
