import { existsSync } from "node:fs";
import type { Loaded } from "../../config/load.ts";
import { stateFolder } from "../../config/paths.ts";
import { keysPath } from "../../keys/key-file.ts";
import { homeFolder } from "../../lib/home.ts";
import { keyNeed } from "../keys/key-need.ts";
import { addressLines, reachable } from "../call-relay.ts";
import { say } from "../output.ts";
import type { Started } from "./launch.ts";
import type { BackgroundPaths } from "./paths.ts";

/** What its owner wants to know of a relay that has just gone to the background. */
export function introduce(started: Started, { settings, origins }: Loaded, paths: BackgroundPaths): void {
  say(`plansocket runs in the background on ${started.url} (pid ${started.pid})`);
  for (const line of addressLines(reachable(started.url))) say(line);
  say(`  API key   ${keyNeed(settings.apiKey, existsSync(keysPath(stateFolder(process.env, settings))))}`);
  if (origins.apiKey === "--api-key") {
    say("            a key on the command line can be seen by other users; PLANSOCKET_API_KEY cannot");
  }
  say(`  log       ${tilde(paths.logFile)}`);
  say('Next: `plansocket setup` connects a client; `plansocket ask "hello"` tries it.');
  say("`plansocket status` shows it, `plansocket logs -f` follows it, `plansocket stop` ends it.");
}

/** A path as people write it. */
export function tilde(path: string): string {
  const home = homeFolder();
  return home.length > 1 && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}
