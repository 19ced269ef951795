import { expect, test } from "bun:test";
import { isIntact, prepare, timeToDelta, type Target } from "./client.ts";
import { toSvg } from "./plot.ts";
import { startBackend, startPassThrough } from "./programs.ts";
import { toJson, toTable, type Results } from "./report.ts";
import { atMost, atMostTimes, inTurns, type Figure } from "./row.ts";
import { median, quantile, ratio, slope } from "./statistics.ts";
import { lastDeparture, type LinkShape } from "./shaped-link.ts";
import { cpuMs, memoryOf } from "./system.ts";

test("medians, quantiles, paired ratios and slopes", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
  expect(median([])).toBeNaN();
  // Round by round: the second round was disturbed for both.
  expect(ratio([2, 20, 2], [1, 10, 1])).toBe(2);
  expect(ratio([1], [])).toBeNaN();
  expect(
    slope([
      { x: 1, y: 5 },
      { x: 2, y: 7 },
      { x: 3, y: 9 },
    ]),
  ).toBe(2);
});

const FIGURES: readonly Figure[] = [
  { label: "idle RSS", unit: "MB", digits: 0, relay: [51, 52, 53], raw: [26], goal: atMost(50, "MB") },
  { label: "first token", unit: "ms", digits: 2, relay: [0.3], raw: [0.25], goal: atMostTimes(1.5) },
  { label: "open streams", unit: "", digits: 0, relay: [1000], raw: [] },
];

test("the table shows medians side by side and what is not reached", () => {
  expect(toTable(FIGURES).split("\n")).toEqual([
    "                 relay   raw   ratio  goal",
    "idle RSS, MB        52    26  1.96 ×  ≤ 50 MB  not reached",
    "first token, ms   0.30  0.25  1.20 ×  ≤ 1.5 ×",
    "open streams     1,000     –     – ×",
    "",
  ]);
});

test("JSON holds every round", () => {
  const results: Results = {
    machine: { system: "linux x64", cpus: 2, bun: "1" },
    rounds: 3,
    figures: FIGURES,
    curves: [],
  };
  const { figures } = JSON.parse(toJson(results)) as { figures: { rounds: object; isReached?: boolean }[] };
  expect(figures[0]).toMatchObject({ relay: 52, rounds: { relay: [51, 52, 53], raw: [26] }, isReached: false });
  expect(figures[1]?.isReached).toBe(true);
});

test("a curve becomes an SVG with a line for each program", () => {
  const points = [1, 10, 1000].map((x) => ({ x, relay: x * 2, raw: x }));
  const svg = toSvg({ name: "c", x: "streams <at once>", y: "CPU", points });
  expect(svg).toContain("streams &lt;at once>");
  const lines = [...svg.matchAll(/<polyline[^>]*points="([^"]+)"/g)].map((match) => match[1]?.split(" "));
  expect(lines.map((line) => line?.length)).toEqual([3, 3]);
  // Powers of ten: the second of three points stands a third of the way.
  expect(lines[0]?.map((point) => Number(point.split(",")[0]))).toEqual([64, 248, 616]);
});

test("a slow line begins with ten segments after a pause, and has two more leave for each that has arrived", () => {
  // A segment a millisecond.
  const line = { upBytesPerSecond: 1_460_000, roundTripMs: 50, restartMs: 100 };
  const sender = { freeAtMs: 0, departures: [] as number[] };
  const leave = (segments: number, nowMs: number, shape: LinkShape = line) =>
    (sender.freeAtMs = lastDeparture(sender, segments * 1460, nowMs, shape));
  expect(leave(10, 1000)).toBe(1010);
  // The first has left at 1001; what came with its receipt leaves then, and the rest with the next receipts.
  expect(leave(2, 1010)).toBe(1053);
  expect(leave(18, 1010)).toBe(1071);
  expect(leave(1, 1090)).toBe(1103);
  expect(leave(11, 1300)).toBe(1352);
  expect(leave(100, 1500, { upBytesPerSecond: 1_460_000, roundTripMs: 50 })).toBe(1600);
});

test("rounds go in turns, and warm ones do not count", async () => {
  const order: string[] = [];
  const program = (name: "relay" | "raw") => ({ name, url: "", pid: 0, startMs: 0, stop: () => Promise.resolve() });
  const measured = await inTurns([program("raw"), program("relay")], { rounds: 2, warm: 1 }, ({ name }) => {
    order.push(name);
    return Promise.resolve({ at: order.length });
  });
  expect(order).toEqual(["raw", "relay", "raw", "relay", "raw", "relay"]);
  expect(measured).toEqual({ raw: { at: [3, 5] }, relay: { at: [4, 6] } });
});

test("the backend plays what is wished for, and readers see what is missing", async () => {
  const backend = await startBackend();
  const raw = await startPassThrough(backend.baseUrl);
  try {
    const direct: Target = { name: "direct", url: backend.baseUrl };
    expect(await isIntact(prepare(direct, "bench:text:50"), 50)).toBe(true);
    expect(await isIntact(prepare(raw, "bench:text:50@1"), 50)).toBe(true);
    expect(await isIntact(prepare(raw, "bench:text:49"), 50)).toBe(false);
    expect(await timeToDelta(prepare(raw, "bench:arguments:10"))).toBeGreaterThan(0);
    expect((await backend.stats()).replies).toBe(4);
    expect(cpuMs(raw.pid)).toBeGreaterThan(0);
    expect(memoryOf(raw.pid).peak).toBeGreaterThan(1);
  } finally {
    await raw.stop();
    await backend.stop();
  }
});
