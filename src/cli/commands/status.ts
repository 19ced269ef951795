import { defineCommand } from "citty";
import {
  INSPECTION,
  openBackgroundContext,
  settingsOfLastStart,
  settingsOfRelay,
  type BackgroundContext,
} from "../background/context.ts";
import { otherVariables, type ExplicitSettings } from "../background/explicit-settings.ts";
import { probe, pidIn, type Probe } from "../background/probe.ts";
import { accountOf, detailsOf, type Details } from "../background/details.ts";
import { tilde } from "../background/messages.ts";
import { BACKGROUND_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { printJson, printText, say } from "../output.ts";
import { portOwner } from "../port-owner.ts";
import { addressLines, reachable } from "../call-relay.ts";
import { relayAt } from "../relay-at.ts";
import { addressOf, isFindable, listeningUrl } from "../own-relay.ts";
import { span } from "../../lib/time.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  json: { help: "print JSON" },
  verbose: { short: "v", help: "also show settings and their origin, login, plan, requests" },
};

export const status = defineCommand({
  meta: { name: "status", description: "Show whether the background relay runs; exits with 1 when it does not." },
  args: citty(OWN, BACKGROUND_SETTINGS),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const context = await openBackgroundContext(flags.settings, INSPECTION);
    const seen = await probe(context.state);
    const isVerbose = flags.own["verbose"] === true;
    const details = isVerbose && seen.kind === "running" ? await detailsOf(context, seen) : undefined;
    if (flags.own["json"] === true) printJson(asJson(context, seen, details));
    else await show(context, seen, details);
    return seen.kind === "running" ? 0 : 1;
  },
});

/** For scripts; moments in ISO 8601. */
function asJson({ state, paths }: BackgroundContext, seen: Probe, details: Details | undefined) {
  return {
    running: seen.kind === "running",
    state: seen.kind,
    pid: seen.kind === "stopped" ? null : seen.pid,
    url: seen.kind === "running" ? seen.url : null,
    version: seen.kind === "running" ? seen.relay.version : null,
    uptime_seconds: seen.kind === "running" ? Math.floor(seen.relay.uptimeMs / 1000) : null,
    started_at: seen.kind === "stopped" ? null : (state?.started_at ?? null),
    command: state?.command ?? null,
    pid_file: paths.pidFile,
    log_file: paths.logFile,
    state_file: paths.stateFile,
    ...(details
      ? { settings: details.settings, login: details.login, plan: details.plan, metrics: details.metrics }
      : {}),
  };
}

async function show(context: BackgroundContext, seen: Probe, details: Details | undefined): Promise<void> {
  const { paths, state } = context;
  if (seen.kind === "silent") {
    printText(`plansocket does not answer (pid ${seen.pid}): it finishes its last requests, or hangs.`);
    say("`plansocket logs` may say more; `plansocket stop` ends it.");
    return;
  }
  if (seen.kind === "stopped") {
    printText("plansocket does not run in the background.");
    const { lines } = await accountOf({ ...context, state: undefined }, context.env);
    for (const line of [...lines, ...(await remarks(context))]) say(line);
    return;
  }
  const { url, pid, relay } = seen;
  const isDemo = state?.command === "demo";
  printText(`plansocket ${isDemo ? "demo " : ""}runs on ${url} (pid ${pid}), up ${span(relay.uptimeMs)}.`);
  for (const line of addressLines(reachable(url)).slice(-1)) printText(line);
  if (!details) {
    const { env } = await settingsOfRelay(context, await settingsOfLastStart(context, state));
    for (const line of (await accountOf(context, env)).lines) printText(line);
    return;
  }
  printText(`  version   ${relay.version}`);
  printText(`  log       ${tilde(paths.logFile)}`);
  printText(`  state     ${tilde(paths.stateFile)}`);
  printText(`  pid file  ${tilde(paths.pidFile)}`);
  for (const line of details.lines) printText(line);
}

/** Why it may not run, and who else answers in its place. */
async function remarks(context: BackgroundContext): Promise<string[]> {
  const { state, paths } = context;
  const lines: string[] = [];
  const pid = state?.pid ?? (await pidIn(paths.pidFile));
  // A relay that ended in order takes its pid file with it.
  if ((await pidIn(paths.pidFile)) !== undefined) {
    lines.push(`The one started last (pid ${pid}) ended by itself; \`plansocket logs\` may say why.`);
  }
  const given: ExplicitSettings = await settingsOfLastStart(context, state).catch(() => ({}));
  const { loaded } = await settingsOfRelay(context, given, state?.environment ?? otherVariables(context.env));
  const settings = state ? loaded.settings : context.loaded.settings;
  const address = addressOf(settings);
  const url = listeningUrl(settings);
  if (isFindable(address) && (await relayAt(url))) {
    const owner = address.unix === undefined ? portOwner(address.port) : undefined;
    const who = owner ? ` (pid ${owner.pid})` : "";
    return [...lines, `A plansocket that was not started by \`plansocket start\` answers on ${url}${who}.`];
  }
  return [
    ...lines,
    `Start it with \`plansocket ${state ? "restart` (the settings of last time) or `plansocket start" : "start"}\`.`,
  ];
}
