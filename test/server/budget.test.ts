import { expect, test } from "bun:test";
import { connect } from "node:net";
import { BodyBudget } from "../../src/server/budget.ts";
import { startDemoRelay } from "../support/demo.ts";
import { chatBody, eventually } from "../support/relay.ts";

test("bodies fill a room, and leave it when their requests go on", () => {
  const room = new BodyBudget(() => 100);
  const [first, second, third] = [room.enter(), room.enter(), room.enter()];
  first.hold(60);
  second.hold(40);
  expect(() => third.hold(1)).toThrow(expect.objectContaining({ code: "relay_busy", retryAfterMs: 1000 }));
  first.leave();
  first.leave();
  third.hold(60);
  expect(() => second.hold(1)).toThrow(expect.objectContaining({ code: "relay_busy" }));
});

test("one alone may be as large as its own limit says", () => {
  const room = new BodyBudget(() => 100);
  room.enter().hold(500);
  expect(() => room.enter().hold(1)).toThrow();
});

test("who comes when the room is full is told to come again", async () => {
  const demo = startDemoRelay({ relay: { maxBodyBytes: 1000 } });
  const body = JSON.stringify(chatBody({ user: "u".repeat(950 - JSON.stringify(chatBody({ user: "" })).length) }));
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
  // Eight of them fill the room to 7,600 of 8,000 bytes.
  const inside = Array.from({ length: 8 }, begin);
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
  const room = new BodyBudget(() => 51_200);
  room.enter().hold(51_200);
  const small = room.enter();
  small.hold(60);
  small.hold(40);
  expect(() => small.hold(1)).toThrow(expect.objectContaining({ code: "relay_busy" }));
});
