import { defineCommand } from "citty";
import { RelayError } from "../../lib/errors.ts";
import { INSPECTION, withStateLock, openBackgroundContext, relayStopLimitMs } from "../background/context.ts";
import { end, type End } from "../background/end.ts";
import { BACKGROUND_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { say } from "../output.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  timeout: {
    value: "SECONDS",
    help: "time for running requests to finish; then they are cut (default: 40, or what the relay was given and 10 more)",
  },
};

export const stop = defineCommand({
  meta: { name: "stop", description: "Stop the background relay, after the requests that run." },
  args: citty(OWN, BACKGROUND_SETTINGS),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const askedMs = limitOf(flags.own["timeout"]);
    const context = await openBackgroundContext(flags.settings, INSPECTION);
    const limitMs = askedMs ?? (await relayStopLimitMs(context, context.state));
    const how = await withStateLock(context, (state) => end(state, context.paths, limitMs), {
      limitMs,
      isEnding: true,
    });
    say(words(how));
    return 0;
  },
});

function words(how: End): string {
  if (how === "was not running") return "plansocket was not running in the background.";
  if (how === "finished") return "plansocket has stopped.";
  return `plansocket has stopped; requests that were still running were ${how === "cut" ? "cut" : "lost"}.`;
}

function limitOf(text: string | true | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text === true || text.trim() === "" ? "x" : text);
  if (Number.isFinite(seconds) && seconds >= 0 && seconds <= 3600) return seconds * 1000;
  throw new RelayError("usage", `Bad value '${String(text).slice(0, 40)}' for --timeout.`, {
    hint: "It is a number of seconds, 0 to cut requests at once.",
  });
}
