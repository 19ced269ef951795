import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBalancer, type Program } from "./programs.ts";
import type { Bench } from "./row.ts";
import { cpuMs } from "./system.ts";

/** Relays behind a load balancer of their own. */
export interface Fleet extends Pick<Program, "name" | "url"> {
  /** Relays in it. */
  readonly size: number;
  /** Of all of them, without the balancer. */
  cpuMs(): number;
  /** Commands that they have sent to the store, without their own looks at what others have changed. */
  storeCommands(): Promise<number>;
  /** Makes a client's key with a daily budget that is never used up, and returns it once every relay knows it. */
  addKey(): Promise<string>;
  stop(): Promise<void>;
}

/** `storeUrl` is the store that they share; undefined for one relay without. */
export async function startFleet(bench: Bench, size: number, storeUrl: string | undefined): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-fleet-"));
  const shared =
    storeUrl === undefined ? [] : ["--store", storeUrl, "--store-prefix", `bench-${randomBytes(4).toString("hex")}`];
  const environment: Record<string, string> =
    storeUrl === undefined
      ? {}
      : {
          PLANSOCKET_STORE_KEY: randomBytes(32).toString("base64"),
          // Nobody asks it: the access token is good for a day.
          PLANSOCKET_ISSUER: "http://127.0.0.1:1",
          OPENAI_ACCESS_TOKEN: bench.login.accessToken,
          OPENAI_REFRESH_TOKEN: "rt_bench",
          OPENAI_CHATGPT_ACCOUNT_ID: bench.login.accountId,
        };
  const flags = ["--state-dir", folder, ...shared];
  const relays: Program[] = [];
  for (let count = 0; count < size; count += 1) relays.push(await bench.relay(flags, environment));
  const balancer = await startBalancer(relays.map(({ url }) => Number(new URL(url).port)));
  return {
    name: storeUrl === undefined ? "raw" : "relay",
    url: balancer.url,
    size,
    cpuMs: () => relays.reduce((sum, { pid }) => sum + cpuMs(pid), 0),
    async storeCommands() {
      const counts = await Promise.all(relays.map(({ url }) => commandsOf(url)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    async addKey() {
      const words = ["keys", "add", "bench", "--tokens-per-day", "1000000000", "--json"];
      const { stdout, exitCode } = Bun.spawnSync([bench.binary, ...words, ...flags], {
        env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...environment },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "ignore",
      });
      if (exitCode !== 0) throw new Error(`keys add ended with ${exitCode}`);
      const { key } = JSON.parse(stdout.toString()) as { key: string };
      for (const { url } of relays) await knows(url, key);
      return key;
    },
    async stop() {
      await balancer.stop();
      for (const relay of relays) await relay.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function commandsOf(url: string): Promise<number> {
  const reply = await fetch(`${url}/metrics`, { headers: { accept: "application/json" } });
  const { store } = (await reply.json()) as { store?: { commands: number } };
  return store?.commands ?? 0;
}

async function knows(url: string, key: string): Promise<void> {
  const statusWith = async (headers: Record<string, string>) => {
    const reply = await fetch(`${url}/v1/models`, { headers });
    await reply.body?.cancel();
    return reply.status;
  };
  for (let attempt = 0; attempt < 250; attempt += 1) {
    const isIn = (await statusWith({ authorization: `Bearer ${key}` })) === 200;
    if (isIn && (await statusWith({})) === 401) return;
    await Bun.sleep(20);
  }
  throw new Error(`${url} does not take the new key`);
}
