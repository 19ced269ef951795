import { existsSync } from "node:fs";
import type { BackgroundContext } from "../background/context.ts";
import { probe } from "../background/probe.ts";
import { tilde } from "../background/messages.ts";
import { print, printText, say } from "../output.ts";
import { span } from "../../lib/time.ts";
import { relayAt } from "../relay-at.ts";
import { installed, managerHere, missingSession, pidOf, savedVariables, urlOf, type Installed } from "./installed.ts";

/** Says whether the service is installed and runs; the exit code is 0 when it does. */
export async function showService(context: BackgroundContext, isJson: boolean): Promise<number> {
  const manager = managerHere(context);
  const isInstalled = existsSync(manager.file);
  const seen: Partial<Installed> = !isInstalled
    ? {}
    : manager.keepsState === true
      ? await asStarted(context)
      : await installed(await savedVariables(context));
  const { url, relay } = seen;
  const pid = pidOf(manager);
  const missing = missingSession(manager);
  if (isJson) {
    const facts = {
      installed: isInstalled,
      running: relay !== undefined,
      manager: manager.name,
      manager_reachable: !missing,
      file: isInstalled ? manager.file : null,
      url: url ?? null,
      pid: relay ? (pid ?? null) : null,
      version: relay?.version ?? null,
      uptime_seconds: relay ? Math.floor(relay.uptimeMs / 1000) : null,
    };
    print(JSON.stringify(facts, undefined, 2));
  } else if (missing) {
    printText(`There is no ${missing.name} here, so no service runs. ${await answerOn(url ?? urlOf(context.loaded))}`);
    say("`plansocket start` runs a relay in the background.");
  } else if (!isInstalled) {
    printText("There is no plansocket service here.");
    say("`plansocket service install` makes one.");
  } else if (relay) {
    const number = pid === undefined ? "" : ` (pid ${pid})`;
    printText(`The plansocket service runs on ${url}${number}, up ${span(relay.uptimeMs)}.`);
    printText(`  ${manager.name}  ${tilde(manager.file)}`);
  } else {
    printText(`The plansocket service does not answer on ${url}.`);
    say(`Its log may say why: \`${manager.logHint(context.paths)}\`.`);
  }
  return relay ? 0 : 1;
}

/** Whether any relay answers where the service would. */
async function answerOn(url: string): Promise<string> {
  return (await relayAt(url)) ? `A relay answers on ${url}.` : `Nothing answers on ${url}.`;
}

async function asStarted({ state }: BackgroundContext): Promise<Partial<Installed>> {
  const seen = await probe(state);
  return seen.kind === "running" ? { url: seen.url, relay: seen.relay } : { url: state?.url ?? "its port" };
}
