import { resolve } from "node:path";
import { addressOf, type ListenAddress } from "../own-relay.ts";
import { socketOf } from "../call-relay.ts";
import { defineCommand } from "citty";
import { RelayError } from "../../lib/errors.ts";
import {
  relayStopLimitMs,
  withStateLock,
  settingsOfLastStart,
  openBackgroundContext,
  settingsOfRelay,
  type BackgroundContext,
} from "../background/context.ts";
import { end } from "../background/end.ts";
import {
  givenBy,
  loginVariables,
  otherVariables,
  withoutLogin,
  type ExplicitSettings,
} from "../background/explicit-settings.ts";
import { launch } from "../background/launch.ts";
import { assertFree } from "../background/port.ts";
import { probe } from "../background/probe.ts";
import type { State } from "../background/state.ts";
import { introduce } from "../background/messages.ts";
import { citty, parseFlags } from "../flags.ts";
import { say } from "../output.ts";

export const restart = defineCommand({
  meta: { name: "restart", description: "Start the background relay anew, with the settings of the last start." },
  args: () => citty(),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs);
    const context = await openBackgroundContext(flags.settings);
    return withStateLock(context, async (state) => {
      // What the environment says now is left aside: another shell must not change what runs.
      const news = givenBy(context.loaded, flags.settings, state ? {} : context.env);
      const given: ExplicitSettings = { ...(await settingsOfLastStart(context, state)), ...news };
      const other = state?.environment ?? otherVariables(context.env);
      const env = loginOf(state, context.env);
      // Everything that can be refused is refused while the old relay still runs.
      const { loaded } = await settingsOfRelay(context, given, other);
      const address = addressOf(loaded.settings);
      const seen = await probe(state);
      if (seen.kind === "running" && !isAt(seen.url, address)) await assertFree(address);
      await stopFirst(context, state);
      await assertFree(address);
      const { maxRequests } = loaded.settings;
      const { paths } = context;
      const command = state?.command ?? "serve";
      introduce(await launch({ command, given, other, paths, maxRequests }, env), loaded, paths);
      return 0;
    });
  },
});

async function stopFirst(context: BackgroundContext, state: State | undefined): Promise<void> {
  const limitMs = await relayStopLimitMs(context, state);
  const how = await end(state, context.paths, limitMs);
  if (how === "cut" || how === "killed") say(`Requests were still running after ${limitMs / 1000} s; they were cut.`);
}

/** Restarting must not change whose login is used: neither lose tokens of the environment nor pick some up. */
function loginOf(
  state: State | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  if (!state) return env;
  if (state.login_variables.length === 0) return withoutLogin(env);
  if (loginVariables(env).length > 0) return env;
  throw new RelayError(
    "start_failed",
    `The relay was started with a login from the environment, and ${state.login_variables.join(" and ")} is not set here.`,
    { hint: "Set it again, or `plansocket stop` and `plansocket start` to use the login file." },
  );
}

/** True for a relay's URL whose place, by port or socket, is the one where another is to listen. */
function isAt(url: string, { port, unix }: ListenAddress): boolean {
  if (unix !== undefined) return socketOf(url)?.path === resolve(unix);
  return socketOf(url) === undefined && Number(new URL(url).port || 80) === port;
}
