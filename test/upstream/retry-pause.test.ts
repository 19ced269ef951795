import { expect, test } from "bun:test";
import { RelayError } from "../../src/lib/errors.ts";
import { retryPauseMs } from "../../src/upstream/retry-pause.ts";

test("overload and server errors are tried again, a little later each time", () => {
  const error = new RelayError("overloaded", "busy");
  expect([0, 1, 2, 3].map((attempt) => retryPauseMs(error, attempt, 0.5))).toEqual([200, 400, 800, undefined]);
});

test.each([
  "quota_exceeded",
  "rate_limit_exceeded",
  "upstream_rejected",
  "upstream_timeout",
  "upstream_stream_truncated",
] as const)("%s is not", (code) => {
  expect(retryPauseMs(new RelayError(code, "x"), 0, 0)).toBeUndefined();
});

test("a rate limit is repeated only when it says for how long, and not longer than a moment (contract 0.9)", () => {
  const limit = (retryAfterMs?: number, wireCode = "rate_limit_exceeded") =>
    new RelayError("rate_limit_exceeded", "x", { wireCode, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
  expect(retryPauseMs(limit(), 0, 0.5)).toBeUndefined();
  expect(retryPauseMs(limit(1500), 0, 0.5)).toBe(1500);
  expect(retryPauseMs(limit(30_000), 0, 0.5)).toBeUndefined();
  expect(retryPauseMs(limit(5000, "slow_down"), 0, 0.5)).toBe(200);
});

test("a server in trouble is given the time that it asks for, or left to the client", () => {
  const asks = (retryAfterMs: number) => new RelayError("upstream_error", "x", { retryAfterMs });
  expect(retryPauseMs(asks(1500), 0, 0.5)).toBe(1500);
  expect(retryPauseMs(asks(11_000), 0, 0.5)).toBeUndefined();
});
