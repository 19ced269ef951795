import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../../support/store-server.ts";
import { prepare, readAll, send, type Prepared } from "../client.ts";
import { startFleet, type Fleet } from "../fleet.ts";
import type { Bench, Figure, Goal, Measured, Row } from "../row.ts";

const SIZES = [1, 2, 4, 8] as const;
const CLIENTS = 32;

export const replicas: Row = {
  name: "replicas",
  about: "1, 2, 4 and 8 replicas with one store behind a load balancer, beside one without: CPU, replies/s, commands",
  async run(bench) {
    if (STORE_PROGRAM === undefined) {
      process.stderr.write("replicas is skipped: neither valkey-server nor redis-server is installed.\n");
      return { figures: [] };
    }
    await using store = await startStoreServer();
    const figures: Figure[] = [];
    for (const size of bench.isQuick ? [2] : SIZES) figures.push(...(await fleetOf(size, bench, store)));
    return { figures };
  },
};

async function fleetOf(size: number, bench: Bench, store: StoreServer): Promise<Figure[]> {
  const one = await startFleet(bench, 1, undefined);
  const fleet = await startFleet(bench, size, store.url);
  try {
    const fleets = [one, fleet];
    const plain = await inTurns(bench, fleets, () => ({}), wholeReplies);
    const stored = await inTurns(bench, fleets, () => ({}), storedReplies);
    const keys = new Map<Fleet, string>();
    for (const each of fleets) keys.set(each, await each.addKey());
    const headersOf = (each: Fleet) => ({ authorization: `Bearer ${keys.get(each)}` });
    const keyed = await inTurns(bench, fleets, headersOf, wholeReplies);
    const those = `${size} replica${size === 1 ? "" : "s"}`;
    return [
      ...figuresOf(`${those} (raw: one without a store)`, plain, NONE_ON_THE_PATH),
      ...figuresOf(`${those}, stored responses`, stored),
      ...figuresOf(`${those}, key with a budget`, keyed),
    ];
  } finally {
    await fleet.stop();
    await one.stop();
  }
}

/** What is left are the ledger's counts, which each replica writes once a second. */
const NONE_ON_THE_PATH: Goal = { text: "0 on its path", isReached: (commands) => commands < 0.05 };

function figuresOf(label: string, { relay, raw }: Measured, goal?: Goal): Figure[] {
  const both = (name: string) => ({ relay: relay[name] ?? [], raw: raw[name] ?? [] });
  return [
    { label: `${label}, replies/s`, unit: "", digits: 0, ...both("perSecond") },
    { label: `${label}, CPU a reply`, unit: "ms", digits: 3, ...both("cpuMs") },
    {
      label: `${label}, store commands a reply`,
      unit: "",
      digits: 2,
      relay: relay["commands"] ?? [],
      raw: [],
      ...(goal ? { goal } : {}),
    },
  ];
}

type Load = (url: string, headers: Record<string, string>, count: number) => Promise<void>;

/** The load on each fleet in turn, after one that is not counted: each replica compiles for itself what it uses. */
async function inTurns(
  bench: Bench,
  fleets: readonly Fleet[],
  headersOf: (fleet: Fleet) => Record<string, string>,
  load: Load,
): Promise<Measured> {
  const measured: Measured = { relay: {}, raw: {} };
  const count = bench.isQuick ? 400 : 1000;
  for (const fleet of fleets) await load(fleet.url, headersOf(fleet), count * fleet.size);
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const fleet of fleets) {
      const before = { cpuMs: fleet.cpuMs(), commands: await fleet.storeCommands(), nowMs: performance.now() };
      await load(fleet.url, headersOf(fleet), count);
      const seconds = (performance.now() - before.nowMs) / 1000;
      const values = {
        perSecond: count / seconds,
        cpuMs: (fleet.cpuMs() - before.cpuMs) / count,
        commands: ((await fleet.storeCommands()) - before.commands) / count,
      };
      for (const [name, value] of Object.entries(values)) (measured[fleet.name][name] ??= []).push(value);
    }
  }
  return measured;
}

async function wholeReplies(url: string, headers: Record<string, string>, count: number): Promise<void> {
  const request = prepare({ name: "relay", url }, "bench:text:3", { stream: false });
  await byClients(count, () => readAll({ ...request, headers: { ...request.headers, ...headers } }));
}

/** Each answer is gone on from once, by whichever replica is asked. */
async function storedReplies(url: string, headers: Record<string, string>, count: number): Promise<void> {
  const ask = (more: object): Prepared => ({
    url: `${url}/v1/responses`,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "gpt-5.5", input: "bench:text:3", ...more }),
  });
  await byClients(count / 2, async () => {
    const { id } = (await (await send(ask({}))).json()) as { id: string };
    await readAll(ask({ previous_response_id: id }));
  });
}

async function byClients(count: number, act: () => Promise<unknown>): Promise<void> {
  let left = count;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      await act();
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}
