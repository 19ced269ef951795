import { expect, test } from "bun:test";
import type { CodexEvent } from "../../src/codex/wire/schema.ts";
import { WireEvent } from "../../src/codex/wire/event.ts";
import type { ClientStream, Send } from "../../src/protocols/protocol.ts";
import { SSE } from "../../src/server/http/frames.ts";
import { MemoryBudget } from "../../src/server/budget.ts";
import { RequestLifetime } from "../../src/server/lifetime.ts";
import { RequestRecord } from "../../src/server/record.ts";
import { textSource } from "../../src/server/reply-stream.ts";
import { delta } from "../support/fake-codex.ts";

const admittedParts = () => {
  const start = {
    id: "1",
    method: "POST",
    route: "/x",
    path: "/x",
    dialect: "x",
    client: "",
    isProbe: false,
    isSecure: false,
    headers: new Headers(),
    keepsText: false,
  };
  return {
    lifetime: new RequestLifetime(new AbortController().signal, () => {}),
    record: new RequestRecord(
      start,
      () => 0,
      () => {},
    ),
    share: new MemoryBudget(
      () => 1,
      () => 1,
    ).open(),
  };
};

/** Upstream that has always more to say, and whether it was let go. */
function endless() {
  const seen = { isLetGo: false };
  const events = {
    next: () => Promise.resolve([WireEvent.of(delta("x") as CodexEvent)]),
    cancel: () => {
      seen.isLetGo = true;
    },
  };
  return { seen, reply: { headers: new Headers(), events, dropped: [] } };
}

const stream = (isDone: () => boolean, send: Send): ClientStream => ({
  get isDone() {
    return isDone();
  },
  onEvent: () => send({ data: "frame" }),
  onEnd: () => {},
  onFailure: () => {},
});

const sourceOf = (isDone: () => boolean, reply: ReturnType<typeof endless>["reply"], admitted = admittedParts()) =>
  textSource((send) => stream(isDone, send), reply, admitted, SSE);

test("what was read ahead for a client that had stopped reading is let go when it leaves", async () => {
  const { seen, reply } = endless();
  const admitted = admittedParts();
  const source = sourceOf(() => false, reply, admitted);
  expect(await source.next()).toBe("data: frame\n\n");
  source.cancel();
  expect(seen.isLetGo).toBe(true);
  expect(admitted.lifetime.signal.aborted).toBe(true);
});

test("so it is when the answer is over before upstream", async () => {
  const { seen, reply } = endless();
  let isDone = false;
  const source = sourceOf(() => isDone, reply);
  await source.next();
  isDone = true;
  expect(await source.next()).toBeUndefined();
  expect(seen.isLetGo).toBe(true);
});
