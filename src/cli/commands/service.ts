import { defineCommand, type ArgsDef } from "citty";
import { RelayError } from "../../lib/errors.ts";
import { nearest } from "../../lib/nearest.ts";
import { INSPECTION, openBackgroundContext } from "../background/context.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";

const VERBS: readonly string[] = ["install", "uninstall", "status"];

const OWN: Readonly<Record<string, OwnFlag>> = {
  "dry-run": { help: "with install and uninstall: print what would be written and run, and do nothing" },
  json: { help: "with status: print JSON" },
};

const ARGS: ArgsDef = {
  verb: { type: "positional", required: false, description: "install, uninstall or status" },
  ...citty(OWN),
};

export const service = defineCommand({
  meta: { name: "service", description: "Have the system start the relay: at login, and again when it fails." },
  args: ARGS,
  async run({ rawArgs: [verb, ...rest] }) {
    if (verb === undefined || !VERBS.includes(verb)) throw unknownVerb(verb);
    const { settings, own } = parseFlags(rest, OWN);
    const isDryRun = own["dry-run"] === true;
    const context = await openBackgroundContext(settings, verb === "install" ? undefined : INSPECTION);
    if (verb === "install") return (await import("../service/install.ts")).install(context, settings, isDryRun);
    if (verb === "uninstall") return (await import("../service/uninstall.ts")).uninstall(context, isDryRun);
    return (await import("../service/status.ts")).showService(context, own["json"] === true);
  },
});

function unknownVerb(verb: string | undefined): RelayError {
  const words = "install, uninstall or status";
  return verb === undefined
    ? new RelayError("usage", "service needs to know what to do.", { hint: `Write ${words} after it.` })
    : new RelayError("usage", `Unknown 'service ${verb.slice(0, 40)}'.`, {
        hint: `Did you mean 'service ${nearest(verb, VERBS)}'? It is ${words}.`,
      });
}
