import { expect, test } from "bun:test";
import { BodyRoom } from "../../src/server/body-room.ts";
import { startDemoRelay } from "../support/demo.ts";
import { chatBody, eventually } from "../support/relay.ts";

test("bodies fill a room, and leave it when their requests go on", () => {
  const room = new BodyRoom(() => 100);
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
  const room = new BodyRoom(() => 100);
  room.enter().hold(500);
  expect(() => room.enter().hold(1)).toThrow();
});

test("who comes when the room is full is told to come again, announced or not", async () => {
  const maxBodyBytes = 1000;
  const demo = startDemoRelay({ relay: { maxBodyBytes } });
  const url = `${demo.v1}/chat/completions`;
  /** A request that has sent all of its body but the end. */
  const begin = () => {
    const { writable, readable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const body = JSON.stringify(chatBody({ user: "u".repeat(800) }));
    void writer.write(new TextEncoder().encode(body));
    const reply = fetch(url, { method: "POST", body: readable });
    return { reply, end: () => writer.close() };
  };
  const many = Array.from({ length: 8 }, begin);
  let turnedAway: Response | undefined;
  const body = JSON.stringify(chatBody({ user: "u".repeat(800) }));
  const ask = async () => {
    const reply = await fetch(url, { method: "POST", body });
    await reply.clone().text();
    if (reply.status === 503) turnedAway ??= reply;
  };
  // As soon as all of them have arrived.
  await eventually(() => (void ask(), turnedAway !== undefined), 10_000);
  expect(turnedAway?.headers.get("retry-after")).toBe("1");
  await Promise.all(many.map(({ end }) => end()));
  const statuses = await Promise.all(many.map(async ({ reply }) => (await reply).status));
  expect(statuses.every((status) => status === 200 || status === 503)).toBe(true);
  expect(statuses).toContain(200);
  await eventually(() => demo.relay.activeRequests() === 0);
  expect((await fetch(url, { method: "POST", body })).status).toBe(200);
  await demo.stop();
});
