import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome, type RunningCommand } from "../support/cli.ts";
import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";

const REPLICAS = 4;
const CLIENTS = 12;
const KEY = randomBytes(32).toString("base64");

interface Replica {
  command: RunningCommand;
  url: string;
}

let store: StoreServer;
let backend: StandIn;
let replicas: Replica[];
const homes: CommandHome[] = [];

describe.skipIf(STORE_PROGRAM === undefined)("a fleet of replicas", () => {
  beforeAll(async () => {
    store = await startStoreServer();
    backend = startStandIn({ paceMs: 3 });
    replicas = await Promise.all(Array.from({ length: REPLICAS }, start));
  });
  afterAll(async () => {
    for (const { command } of replicas) command.kill("SIGKILL");
    await Promise.all(replicas.map(({ command }) => command.ended));
    for (const home of homes) home.remove();
    await backend.stop();
    await store[Symbol.asyncDispose]();
  });

  /** Each in a container of its own: nothing but the store is shared. */
  async function start(): Promise<Replica> {
    const { refreshToken, accessToken, accountId } = (login ??= backend.issueLogin());
    const home = new CommandHome({
      PLANSOCKET_STORE: store.url,
      PLANSOCKET_STORE_KEY: KEY,
      PLANSOCKET_ISSUER: backend.issuer,
      PLANSOCKET_BASE_URL: backend.baseUrl,
      PLANSOCKET_STOP_DELAY: "0.3",
      OPENAI_REFRESH_TOKEN: refreshToken,
      OPENAI_ACCESS_TOKEN: accessToken,
      OPENAI_CHATGPT_ACCOUNT_ID: accountId,
    });
    homes.push(home);
    const command = home.start(["serve", "--port", "0"]);
    const [, url = ""] = await command.says(/listens on (\S+)/);
    return { command, url };
  }
  let login: ReturnType<StandIn["issueLogin"]> | undefined;

  /** What a load balancer does: asks those that say that they are ready, each 20 ms anew. */
  const ready = new Set<string>();
  async function watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const { url } of replicas) {
        const isReady = await fetch(`${url}/ready`).then(
          ({ status }) => status === 200,
          () => false,
        );
        if (isReady) ready.add(url);
        else ready.delete(url);
      }
      await Bun.sleep(20);
    }
  }

  test("is restarted one after the other under load, and no answer is cut", async () => {
    const stopped = new AbortController();
    const watching = watch(stopped.signal);
    while (ready.size < REPLICAS) await Bun.sleep(20);
    const counts = { whole: 0, cut: [] as string[] };
    const over = new AbortController();
    let turn = 0;
    let previous: string | undefined;
    const client = async () => {
      while (!over.signal.aborted) {
        const all = [...ready];
        const url = all[turn++ % all.length] ?? "";
        // Every few requests go on from an answer that any other replica may have given.
        const goesOn = previous !== undefined && turn % 4 === 0 ? { previous_response_id: previous } : {};
        const body = JSON.stringify({ model: "gpt-5.5", input: "hello", stream: true, ...goesOn });
        const headers = { "content-type": "application/json" };
        try {
          const reply = await fetch(`${url}/v1/responses`, { method: "POST", headers, body });
          const text = await reply.text();
          if (reply.status === 200 && text.includes("event: response.completed")) {
            counts.whole += 1;
            previous = /"id":"(resp_[^"]+)"/.exec(text)?.[1];
          } else counts.cut.push(`${reply.status} ${text.slice(-300)}`);
        } catch (error) {
          counts.cut.push(String(error));
        }
      }
    };
    const clients = Array.from({ length: CLIENTS }, client);
    const before = replicas;
    for (const old of before) {
      const next = await start();
      replicas = [...replicas, next];
      while (!ready.has(next.url)) await Bun.sleep(20);
      old.command.kill("SIGTERM");
      expect((await old.command.ended).code).toBe(0);
      replicas = replicas.filter((one) => one !== old);
    }
    over.abort();
    await Promise.all(clients);
    stopped.abort();
    await watching;
    expect(counts.cut).toEqual([]);
    expect(counts.whole).toBeGreaterThan(50);
    expect(backend.counts.refreshes).toBeLessThanOrEqual(1);
    console.log(`  rolling restart of ${REPLICAS} replicas: ${counts.whole} answers, none cut`);
  }, 120_000);
});
