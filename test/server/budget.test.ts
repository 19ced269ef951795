import { expect, test } from "bun:test";
import { connect } from "node:net";
import { MemoryBudget } from "../../src/server/budget.ts";
import { startDemoRelay } from "../support/demo.ts";
import { chatBody, eventually } from "../support/relay.ts";

const MIB = 1024 * 1024;
const isBusy = expect.objectContaining({ code: "relay_busy", retryAfterMs: 1000 });

function budgetOf(maxBytes: number, maxContentBytes = maxBytes): MemoryBudget {
  return new MemoryBudget(
    () => maxBytes,
    () => maxContentBytes,
  );
}

test("shares fill a budget, and leave it when their requests end", () => {
  const budget = budgetOf(100);
  const [first, second, third] = [budget.open(), budget.open(), budget.open()];
  first.hold(60);
  second.hold(40);
  expect(() => third.hold(1)).toThrow(isBusy);
  first.close();
  first.close();
  third.hold(60);
  expect(() => second.hold(1)).toThrow(isBusy);
});

test("one request alone may hold as much as its own limits allow", () => {
  const budget = budgetOf(100);
  budget.open().hold(500);
  expect(() => budget.open().hold(1)).toThrow();
});

test("a body counts three times while it is translated, and once while its reply goes on", () => {
  const budget = budgetOf(100);
  const share = budget.open();
  share.receive(30);
  share.received(30);
  const other = budget.open();
  expect(() => other.hold(11)).toThrow(isBusy);
  other.hold(10);
  share.settle();
  other.hold(60);
  expect(() => other.hold(1)).toThrow(isBusy);
});

test("what a request refers to counts with its body: together they are no larger than a body may be", () => {
  const share = budgetOf(MIB, 1000).open();
  share.receive(400);
  share.received(400);
  share.add({ characters: 300, values: 1 });
  share.add({ characters: 300, values: 1 });
  expect(() => share.add({ characters: 1, values: 1 })).toThrow(expect.objectContaining({ code: "request_too_large" }));
});

test("a request refers to no more values than a body may hold", () => {
  const share = budgetOf(MIB).open();
  expect(() => share.add({ characters: 1, values: 200_001 })).toThrow(
    expect.objectContaining({ code: "request_too_large" }),
  );
});

test("an answer of usual length is not refused for what others hold, a long one is", () => {
  const budget = budgetOf(100);
  budget.open().hold(100);
  const share = budget.open();
  share.collect(MIB);
  expect(() => share.collect(1)).toThrow(isBusy);
});

test("an answer without end is given up, however much memory there is", () => {
  const share = budgetOf(1024 * MIB).open();
  for (let mib = 0; mib < 128; mib += 1) share.collect(MIB);
  expect(() => share.collect(1)).toThrow(expect.objectContaining({ code: "upstream_error", shouldRetry: false }));
});

test("a request that comes when the budget is exhausted gets 503 with Retry-After, and those inside are answered", async () => {
  const demo = startDemoRelay({ relay: { maxBodyBytes: 100_000 } });
  const body = JSON.stringify(chatBody({ user: "u".repeat(95_000 - JSON.stringify(chatBody({ user: "" })).length) }));
  /** A request that has sent all of its body but the last byte. */
  const begin = () => {
    const { promise: reply, resolve } = Promise.withResolvers<string>();
    const socket = connect(demo.relay.port, "127.0.0.1");
    socket.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body.slice(0, -1));
    return { reply, socket };
  };
  const ask = () => fetch(`${demo.v1}/chat/completions`, { method: "POST", body });
  // Three of them fill the budget to 855,000 of 1,000,000 bytes.
  const inside = Array.from({ length: 3 }, begin);
  await eventually(() => demo.relay.activeRequests() === inside.length);
  const turnedAway = await ask();
  expect(turnedAway.status).toBe(503);
  expect(turnedAway.headers.get("retry-after")).toBe("1");
  for (const { socket } of inside) socket.write(body.slice(-1));
  for (const { reply, socket } of inside) {
    expect(await reply).toStartWith("HTTP/1.1 200 OK");
    socket.destroy();
  }
  await eventually(() => demo.relay.activeRequests() === 0);
  expect((await ask()).status).toBe(200);
  await demo.stop();
});

test("small bodies get in while large ones, perhaps from slow senders, take all the room", () => {
  const budget = budgetOf(51_200);
  budget.open().hold(51_200);
  const small = budget.open();
  small.hold(60);
  small.hold(40);
  expect(() => small.hold(1)).toThrow(expect.objectContaining({ code: "relay_busy" }));
});
