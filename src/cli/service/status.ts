import { existsSync } from "node:fs";
import type { BackgroundContext } from "../background/context.ts";
import { look } from "../background/probe.ts";
import { tilde } from "../background/messages.ts";
import { print, say } from "../output.ts";
import { span } from "../time.ts";
import { installed, managerHere, pidOf, savedVariables, type Installed } from "./installed.ts";

/** Says whether the service is installed and runs; the exit code is 0 when it does. */
export async function showService(desk: BackgroundContext, isJson: boolean): Promise<number> {
  const manager = managerHere(desk);
  const isInstalled = existsSync(manager.file);
  const seen: Partial<Installed> = !isInstalled
    ? {}
    : manager.keepsState === true
      ? await asStarted(desk)
      : await installed(await savedVariables(desk));
  const { url, relay } = seen;
  const pid = pidOf(manager);
  if (isJson) {
    const facts = {
      installed: isInstalled,
      running: relay !== undefined,
      manager: manager.name,
      file: isInstalled ? manager.file : null,
      url: url ?? null,
      pid: relay ? (pid ?? null) : null,
      version: relay?.version ?? null,
      uptime_seconds: relay ? Math.floor(relay.uptimeMs / 1000) : null,
    };
    print(JSON.stringify(facts, undefined, 2));
  } else if (!isInstalled) {
    print("There is no plansocket service here.");
    say("`plansocket service install` makes one.");
  } else if (relay) {
    const number = pid === undefined ? "" : ` (pid ${pid})`;
    print(`The plansocket service runs on ${url}${number}, up ${span(relay.uptimeMs)}.`);
    print(`  ${manager.name}  ${tilde(manager.file)}`);
  } else {
    print(`The plansocket service does not answer on ${url}.`);
    say(`Its log may say why: \`${manager.logHint(desk.places)}\`.`);
  }
  return relay ? 0 : 1;
}

async function asStarted({ state }: BackgroundContext): Promise<Partial<Installed>> {
  const seen = await look(state);
  return seen.kind === "running" ? { url: seen.url, relay: seen.relay } : { url: state?.url ?? "its port" };
}
