import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { relayStopLimitMs, withStateLock, type BackgroundContext } from "../background/context.ts";
import { end } from "../background/end.ts";
import { tilde } from "../background/messages.ts";
import { print, say } from "../output.ts";
import { managerHere, missingSession } from "./installed.ts";
import { envFilePath } from "./plan.ts";
import { commandLine, hasTool, runSteps } from "./steps.ts";

/** Ends the service and takes away what `install` wrote. */
export async function uninstall(context: BackgroundContext, isDryRun: boolean): Promise<number> {
  const manager = managerHere(context);
  const files = [manager.file, envFilePath(context.env)].filter((path) => existsSync(path));
  if (files.length === 0) {
    say("There is no plansocket service here.");
    return 0;
  }
  if (isDryRun) {
    print(commandLine([...manager.uninstall, { command: ["rm", ...files] }, ...manager.afterRemoval]));
    return 0;
  }
  const isHere = hasTool(manager.uninstall);
  const missing = missingSession(manager);
  const isAsked = isHere && !missing;
  if (isAsked) await runSteps(manager.uninstall);
  if (manager.keepsState === true) {
    const limitMs = await relayStopLimitMs(context, context.state);
    await withStateLock(context, (state) => end(state, context.paths, limitMs), { limitMs, isEnding: true });
  }
  for (const path of [...files, ...(manager.links ?? [])]) await rm(path, { force: true });
  if (isAsked) await runSteps(manager.afterRemoval);
  say(`The plansocket service is removed: ${files.map(tilde).join(", ")}.`);
  if (!isHere) say(`Where the system has loaded it, also run: \`${commandLine(manager.uninstall)}\``);
  else if (missing) {
    say(
      `No ${missing.name} can be reached to end it: a relay that still runs ends with its session or \`plansocket stop\`.`,
    );
  }
  return 0;
}
