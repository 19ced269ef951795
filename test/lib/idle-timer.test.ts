import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { IdleTimer } from "../../src/lib/idle-timer.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** How often silence was told of so far. */
function heard(limitMs: number) {
  const seen = { times: 0 };
  return { seen, silence: new IdleTimer(limitMs, () => (seen.times += 1)) };
}

/** The first time is after `limitMs` from now, not a millisecond before. */
function expectAfter(limitMs: number, seen: { readonly times: number }): void {
  jest.advanceTimersByTime(limitMs - 1);
  expect(seen.times).toBe(0);
  jest.advanceTimersByTime(1);
  expect(seen.times).toBe(1);
}

test("silence is told of once, and again after a sign of life", () => {
  const { seen, silence } = heard(100);
  expectAfter(100, seen);
  jest.advanceTimersByTime(1000);
  expect(seen.times).toBe(1);
  silence.touch();
  jest.advanceTimersByTime(100);
  expect(seen.times).toBe(2);
  silence.stop();
});

test("whoever has stopped listening hears no more, whatever comes then", () => {
  const { seen, silence } = heard(100);
  silence.stop();
  silence.touch();
  jest.advanceTimersByTime(1000);
  expect(seen.times).toBe(0);
});

test("a sign of life puts it off by the whole limit", () => {
  const { seen, silence } = heard(100);
  for (let sign = 0; sign < 5; sign += 1) {
    jest.advanceTimersByTime(60);
    silence.touch();
  }
  expect(seen.times).toBe(0);
  expectAfter(100, seen);
  silence.stop();
});
