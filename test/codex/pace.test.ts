import { expect, test } from "bun:test";
import { paceOf } from "../../src/codex/pace.ts";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const HOUR_MS = 3_600_000;
/** A window of ten hours that began `elapsedHours` ago. */
const window = (usedPercent: number, elapsedHours: number) => ({
  usedPercent,
  windowMinutes: 600,
  resetsAtMs: NOW + (10 - elapsedHours) * HOUR_MS,
});

test("a window that fills faster than it ends says when it is full", () => {
  expect(paceOf(window(50, 4), NOW)).toEqual({ percentAtReset: 125, fullAtMs: NOW + 4 * HOUR_MS });
});

test("a window that ends first says how much of it is used by then", () => {
  expect(paceOf(window(20, 5), NOW)).toEqual({ percentAtReset: 40, fullAtMs: undefined });
});

test("a full window is full now", () => {
  expect(paceOf(window(100, 5), NOW)?.fullAtMs).toBe(NOW);
  expect(paceOf(window(130, 5), NOW)?.fullAtMs).toBe(NOW);
});

test.each([
  ["nothing is used", window(0, 5)],
  ["it has only begun", window(5, 0.2)],
  ["it has ended", window(50, 10)],
  ["its end is unknown", { ...window(50, 5), resetsAtMs: undefined }],
  ["its length is unknown", { ...window(50, 5), windowMinutes: undefined }],
  ["its length is 0", { ...window(50, 5), windowMinutes: 0 }],
  ["it begins in the future", window(50, -1)],
])("there is no pace when %s", (_, value) => {
  expect(paceOf(value, NOW)).toBeUndefined();
});
