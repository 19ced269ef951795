import { afterEach, describe, expect, test } from "bun:test";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { DIALECT_CLIENTS, post } from "../support/dialect-clients.ts";
import { sharedPrefix, sharedPrefixes } from "../support/prefix.ts";

let demo: DemoRelay;
afterEach(() => demo.stop());

// Over a WebSocket the beginning is not sent again, so that there is nothing to compare.
const SHAPES = [
  ["full", "off"],
  ["Lite", "on"],
] as const;

describe.each(Object.keys(DIALECT_CLIENTS))("a request of a conversation in %s", (dialect) => {
  test.each(SHAPES)("begins as the last one did, in the %s shape", async (_shape, lite) => {
    demo = startDemoRelay({ upstream: { transport: "http", lite: { default: lite, models: {} } } });
    const client = DIALECT_CLIENTS[dialect]?.();
    if (!client) throw new Error("no such dialect");
    for (const wish of ["call read_file", "think hard and say two", "call read_file", "call read_file"]) {
      client.say(wish);
      while (client.take(await post(demo, client.path, { ...client.body(), model: "gpt-6.1-sol" })) > 0);
    }
    const bodies = demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).map(({ body }) => body);
    expect(bodies.length).toBe(7);
    for (const { percent } of sharedPrefixes(bodies)) expect(percent).toBeGreaterThanOrEqual(99);
    expect(demo.backend.refusals).toEqual([]);
  });
});

test("what is measured is the share of the shorter prompt, from its start", () => {
  demo = startDemoRelay();
  const of = (...input: string[]) => ({ model: "m", instructions: "", input });
  expect(sharedPrefix(of("a"), of("a", "b")).percent).toBe(100);
  expect(sharedPrefix(of("a", "b"), of("x", "b"))).toMatchObject({ bytes: '"m"\n[]\n""\n"'.length });
});
