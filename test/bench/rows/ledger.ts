import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerEntry } from "../../../src/ledger/entry.ts";
import { Ledger } from "../../../src/ledger/ledger.ts";
import { SILENT_LOG } from "../../../src/lib/log.ts";
import { prepare, readAll, type Prepared } from "../client.ts";
import { writeBusyYear } from "../ledger-history.ts";
import type { Program } from "../programs.ts";
import { atMost, atMostTimes, figure, inTurns, type Bench, type Figure, type Measured, type Row } from "../row.ts";
import { median } from "../statistics.ts";
import { cpuMs, memoryOf } from "../system.ts";

const CLIENTS = 16;
/** Two processes of the same program differ by some percent themselves: several pairs of them, a few turns each. */
const TURNS = 4;
const DELTAS = 200;
const BUSY_SECOND = 2000;
/** A person with a few agents at work. */
const PACED_PER_SECOND = 20;

export const ledger: Row = {
  name: "ledger",
  about: "what counting costs a request and a stream, and usage --by day over 400 busy days",
  async run(bench) {
    const measured: Measured = { relay: {}, raw: {} };
    const more: number[] = [];
    for (let pair = 0; pair < bench.rounds; pair += 1) more.push(await onePair(bench, measured));
    return {
      figures: [
        figure(measured, "cpuMs", {
          label: `CPU a whole reply, ${CLIENTS} clients (raw: --ledger off)`,
          unit: "ms",
          digits: 3,
          goal: atMostTimes(1.03),
        }),
        figure(measured, "eventUs", {
          label: `CPU an event, streams of ${DELTAS} deltas (raw: --ledger off)`,
          unit: "µs",
          digits: 2,
          goal: atMostTimes(1.03),
        }),
        figure(measured, "pacedMs", {
          label: `CPU a whole reply, ${PACED_PER_SECOND} a second (raw: --ledger off)`,
          unit: "ms",
          digits: 2,
        }),
        figure(measured, "rss", { label: "RSS after them (raw: --ledger off)", unit: "MB", digits: 0 }),
        await countingAlone(bench, measured.raw["cpuMs"] ?? []),
        { label: "memory for the ledger", unit: "MB", digits: 1, relay: more, raw: [], goal: atMost(15, "MB") },
        ...(await overAYear(bench)),
      ],
    };
  },
};

/** Measures a new relay with a ledger and one without in turns; returns how much more memory the first has at the end. */
async function onePair(bench: Bench, into: Measured): Promise<number> {
  const on = await bench.relay(["--ledger", "on"]);
  const off = await bench.relay(["--ledger", "off"]);
  try {
    const programs = [{ ...off, name: "raw" as const }, on];
    const part = bench.isQuick ? 4 : 1;
    const steps = [
      await inTurns(programs, { rounds: TURNS, warm: 2 }, (program) => wholeReplies(program, 2000 / part)),
      await inTurns(programs, { rounds: TURNS, warm: 1 }, (program) => streams(program, 600 / part)),
      await inTurns(programs, { rounds: 1 }, (program) => pacedReplies(program, 8 / part)),
    ];
    for (const measured of steps) {
      for (const name of ["relay", "raw"] as const) {
        for (const [what, values] of Object.entries(measured[name])) (into[name][what] ??= []).push(...values);
      }
    }
    const memory = { relay: memoryOf(on.pid).rss, raw: memoryOf(off.pid).rss };
    for (const name of ["relay", "raw"] as const) (into[name]["rss"] ??= []).push(memory[name]);
    return memory.relay - memory.raw;
  } finally {
    await on.stop();
    await off.stop();
  }
}

/**
 * The ledger's own code in this process, with the requests of a busy second and their writing. Two relays differ by more
 * than it costs; this tells how much of the difference it can be.
 */
async function countingAlone(bench: Bench, replyMs: readonly number[]): Promise<Figure> {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-bench-"));
  const counts = new Ledger({ path: join(folder, "ledger.db"), days: 400, log: SILENT_LOG, after: () => {} });
  const percent: number[] = [];
  try {
    for (let second = -2; second < bench.rounds; second += 1) {
      const before = process.cpuUsage();
      for (let count = 0; count < BUSY_SECOND; count += 1) counts.add(entryOf(count));
      await counts.write();
      const { user, system } = process.cpuUsage(before);
      const ms = (user + system) / 1000 / BUSY_SECOND;
      // The first ones make the file, and are compiled.
      if (second >= 0) percent.push((100 * ms) / median(replyMs));
    }
    await counts.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    label: "counting and writing alone, of a reply's CPU",
    unit: "%",
    digits: 2,
    relay: percent,
    raw: [],
    goal: atMost(3, "%"),
  };
}

function entryOf(count: number): LedgerEntry {
  return {
    endedAtMs: Date.now(),
    model: "gpt-5.5",
    client: "Bun",
    key: "",
    status: 200,
    fallback: "",
    conversation: new Bun.CryptoHasher("sha256")
      .update(`client ${count % CLIENTS}`)
      .digest("hex")
      .slice(0, 16),
    input: 100,
    cached: 0,
    output: 3,
    reasoning: 0,
    firstTokenMs: 1 + (count % 7),
    totalMs: 3 + (count % 5),
  };
}

/** Conversations of their own for each client, as in life. */
function requestsTo({ url }: Program, wish: string, stream: boolean): Prepared[] {
  return Array.from({ length: CLIENTS }, (_, client) =>
    prepare({ name: "relay", url }, wish, { stream, history: [`I am client ${client}.`, "Hello."] }),
  );
}

async function wholeReplies(program: Program, count: number) {
  const cpuBefore = cpuMs(program.pid);
  await allOf(requestsTo(program, "bench:text:3", false), count);
  return { cpuMs: (cpuMs(program.pid) - cpuBefore) / count };
}

async function streams(program: Program, count: number) {
  const cpuBefore = cpuMs(program.pid);
  await allOf(requestsTo(program, `bench:text:${DELTAS}`, true), count);
  return { eventUs: ((cpuMs(program.pid) - cpuBefore) * 1000) / (count * DELTAS) };
}

/** So few that each second's writing is shared by few: with the clock's ticks, over some seconds. */
async function pacedReplies(program: Program, seconds: number) {
  const requests = requestsTo(program, "bench:text:3", false);
  const count = seconds * PACED_PER_SECOND;
  const cpuBefore = cpuMs(program.pid);
  const begunMs = performance.now();
  for (let sent = 0; sent < count; sent += 1) {
    await Bun.sleep(Math.max(0, begunMs + (sent * 1000) / PACED_PER_SECOND - performance.now()));
    for (const request of requests.slice(sent % CLIENTS, (sent % CLIENTS) + 1)) await readAll(request);
  }
  return { pacedMs: (cpuMs(program.pid) - cpuBefore) / count };
}

async function allOf(requests: readonly Prepared[], count: number): Promise<void> {
  let left = count;
  await Promise.all(
    requests.map(async (request) => {
      while (left > 0) {
        left -= 1;
        await readAll(request);
      }
    }),
  );
}

/** The command as a process of its own, from its start to its end. */
async function overAYear(bench: Bench): Promise<Figure[]> {
  const home = mkdtempSync(join(tmpdir(), "plansocket-bench-"));
  try {
    const bytes = await writeBusyYear(home, Date.now());
    const times: number[] = [];
    const cpu: number[] = [];
    for (let run = 0; run < bench.rounds * 5; run += 1) {
      const begunMs = performance.now();
      const { exitCode, stdout, resourceUsage } = Bun.spawnSync(
        [bench.binary, "usage", "--by", "day", "--since", "400d", "--state-dir", home],
        { env: { PATH: process.env["PATH"] ?? "", HOME: home }, stdin: "ignore", stdout: "pipe", stderr: "ignore" },
      );
      times.push(performance.now() - begunMs);
      cpu.push(Number(resourceUsage.cpuTime.total) / 1000);
      const lines = stdout.toString().split("\n").length;
      if (exitCode !== 0 || lines < 400) throw new Error(`usage ended with ${exitCode} after ${lines} lines`);
    }
    const label = "usage --by day over 400 busy days";
    return [
      { label, unit: "ms", digits: 0, relay: times, raw: [], goal: atMost(100, "ms") },
      { label: `${label}, CPU`, unit: "ms", digits: 0, relay: cpu, raw: [] },
      {
        label: "ledger of 400 busy days",
        unit: "MB",
        digits: 1,
        relay: [bytes / 1024 / 1024],
        raw: [],
        goal: atMost(20, "MB"),
      },
    ];
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
