import { addressOf } from "../own-relay.ts";
import { defineCommand } from "citty";
import type { FlagValues } from "../../config/load.ts";
import { RelayError } from "../../lib/errors.ts";
import {
  withStateLock,
  settingsOfLastStart,
  openBackgroundContext,
  type BackgroundContext,
} from "../background/context.ts";
import { givenBy, otherVariables, type ExplicitSettings } from "../background/explicit-settings.ts";
import { launch } from "../background/launch.ts";
import { backgroundPaths } from "../background/paths.ts";
import { assertFree } from "../background/port.ts";
import { probe, pidIn } from "../background/probe.ts";
import type { State } from "../background/state.ts";
import { introduce } from "../background/messages.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { say } from "../output.ts";
import { isSettingName } from "../../config/settings.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  demo: { help: "run `demo` instead of `serve`: no login, no network" },
};

export const start = defineCommand({
  meta: { name: "start", description: "Run the relay in the background." },
  args: () => citty(OWN),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const command = flags.own["demo"] === true ? "demo" : "serve";
    const context = await openBackgroundContext(flags.settings);
    return withStateLock(context, async (state) => {
      const seen = await probe(state);
      if (seen.kind === "silent") {
        throw new RelayError("start_failed", `The relay of the last start (pid ${seen.pid}) does not answer.`, {
          hint: "It may be finishing its last requests. `plansocket restart` ends it and starts another.",
        });
      }
      const given = givenBy(context.loaded, flags.settings, context.env);
      if (seen.kind === "running" && state) {
        say(`plansocket already runs on ${seen.url} (pid ${seen.pid}).`);
        if (state.command !== command) {
          throw new RelayError("start_failed", `It was started ${command === "demo" ? "without" : "with"} --demo.`, {
            hint: "`plansocket stop` ends it.",
          });
        }
        if (asksNothingNew(flags.settings, given, await settingsOfLastStart(context, state))) return 0;
        throw new RelayError("start_failed", "It runs with other settings than these.", {
          hint: "`plansocket restart` with the new flags changes it.",
        });
      }
      return begin(context, command, given);
    });
  },
});

async function begin(context: BackgroundContext, command: State["command"], given: ExplicitSettings): Promise<number> {
  const { loaded, env } = context;
  // A relay that ends in order takes its pid file with it.
  const left = await pidIn(context.paths.pidFile);
  if (left !== undefined) say(`The relay before this one (pid ${left}) had ended by itself.`);
  await assertFree(addressOf(loaded.settings));
  const paths = backgroundPaths(loaded, env);
  const { maxRequests } = loaded.settings;
  introduce(await launch({ command, given, other: otherVariables(env), paths, maxRequests }, env), loaded, paths);
  return 0;
}

/** True when every flag of now has the value that the running relay was started with. */
function asksNothingNew(flags: FlagValues, given: ExplicitSettings, running: ExplicitSettings): boolean {
  const names = Object.keys(flags)
    .flatMap((name) => (name === "addr" ? ["host", "port"] : [name]))
    .filter(isSettingName);
  return names.every((name) => given[name] === undefined || given[name].value === running[name]?.value);
}
