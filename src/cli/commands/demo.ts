import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineCommand } from "citty";
import type { Judgment } from "../../config/load.ts";
import { type SettingName, SETTING_NAMES } from "../../config/settings.ts";
import { PLAYED_FAULTS } from "../../demo/faults.ts";
import { startPlayer } from "../../demo/player.ts";
import { RelayError } from "../../lib/errors.ts";
import { addressLines, socketOf } from "../call-relay.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { keyNeed } from "../keys/key-need.ts";
import { say, sayAsIs } from "../output.ts";
import { reloader } from "../reload.ts";
import { runUntilStopped, stopTimes } from "../shutdown.ts";
import { listenOrExplain, openKeys, openLedger, openServices } from "../services.ts";

/** About the pace of a real model. */
const PACE_MS = 15;

const OWN: Readonly<Record<string, OwnFlag>> = {
  "backend-port": { value: "PORT", help: "port of the built-in backend itself (default: a free one)" },
};

/** What the demo replaces, and a broken config file, must not keep anybody from trying it. */
const REPLACED: readonly SettingName[] = [
  "baseUrl",
  "openaiBaseUrl",
  "tokenUrl",
  "revokeUrl",
  "issuer",
  "proxy",
  "authFile",
];
const JUDGMENT: Judgment = {
  needs: SETTING_NAMES.filter((name) => !REPLACED.includes(name)),
  toleratesFile: true,
};

export const demo = defineCommand({
  meta: { name: "demo", description: "Run the relay against a built-in backend: no login, no network." },
  args: () => citty(OWN),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const backend = startPlayer({ port: portOf(flags.own["backend-port"]), paceMs: PACE_MS });
    // Its counts are made up like its answers, so they go when it ends.
    const folder = mkdtempSync(join(tmpdir(), "plansocket-demo-"));
    try {
      const services = await openServices(flags.settings, process.env, { ...backend.services, judgment: JUDGMENT });
      const keys = openKeys(services);
      const relay = await listenOrExplain(services, keys, { ledger: openLedger(services, folder) });
      const stopped = runUntilStopped(relay, services.log, {
        ...stopTimes(services.settings),
        reload: reloader(services, relay),
        settle: () => services.credentials.settle(),
      });
      introduce(relay.url, backend.origin, keyNeed(services.settings.apiKey, keys.ring.isInUse));
      return await stopped;
    } finally {
      await backend.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
});

function introduce(url: string, backend: string, need: string): void {
  say(`plansocket demo listens on ${url}: no login is used and nothing leaves this machine`);
  const socket = socketOf(url);
  if (socket) for (const line of addressLines(url)) say(line);
  else {
    say(`  base URL  ${url}/v1`);
    say(`  page      ${url}/`);
  }
  say(`  API key   ${need}`);
  say(`  backend   ${backend} (built in; its answers are made up)`);
  say("");
  say("Try it:");
  const way = socket ? `--unix-socket ${socket.path} http://localhost${socket.basePath}` : url;
  sayAsIs(`  curl ${way}/v1/chat/completions -d '{"model":"gpt-5.5","messages":[{"role":"user","content":"hello"}]}'`);
  say("A prompt can ask for a fault:");
  say(
    `  ${Object.keys(PLAYED_FAULTS)
      .map((name) => `fault:${name}`)
      .join(" ")}`,
  );
}

function portOf(text: string | true | undefined): number {
  const port = Number(text ?? 0);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new RelayError("usage", `Bad value '${String(text)}' for --backend-port.`, { hint: "It is a port number." });
}
