import { expect, test } from "bun:test";
import { ReasoningStore } from "../../src/codex/reasoning-store.ts";

const item = (text: string) => ({ type: "reasoning", summary: [], encrypted_content: text });

test("what was remembered for a call comes back, and nothing for others", () => {
  const memory = new ReasoningStore();
  memory.remember("call_1", [item("a")]);
  expect(memory.recall("call_1")).toEqual([item("a")]);
  expect(memory.recall("call_2")).toEqual([]);
  memory.forget("call_1");
  expect(memory.recall("call_1")).toEqual([]);
});

test("the least recently used goes first when there are too many", () => {
  const memory = new ReasoningStore();
  for (let call = 0; call < 2048; call += 1) memory.remember(`call_${call}`, [item("x")]);
  memory.recall("call_0");
  memory.remember("one more", [item("y")]);
  expect(memory.recall("call_0")).toHaveLength(1);
  expect(memory.recall("call_1")).toHaveLength(0);
});

test("size is bounded as well as number", () => {
  const memory = new ReasoningStore();
  const large = "x".repeat(5 * 1024 * 1024);
  for (let call = 0; call < 4; call += 1) memory.remember(`call_${call}`, [item(large)]);
  expect(memory.recall("call_0")).toHaveLength(0);
  expect(memory.recall("call_3")).toHaveLength(1);
  memory.remember("huge", [item("x".repeat(17 * 1024 * 1024))]);
  expect(memory.recall("huge")).toHaveLength(0);
});

test("a request counts what it recalls, each time, before it takes it in", () => {
  const memory = new ReasoningStore();
  memory.within("one", () => {}).remember("call_1", [item("x".repeat(1000))]);
  let room = 2500;
  const request = memory.within("one", ({ characters }) => {
    room -= characters;
    if (room < 0) throw new Error("no room");
  });
  expect(request.recall("call_1")).toHaveLength(1);
  expect(request.recall("call_2")).toHaveLength(0);
  expect(request.recall("call_1")).toHaveLength(1);
  expect(() => request.recall("call_1")).toThrow("no room");
});

test("a client recalls and forgets its own calls only", () => {
  const memory = new ReasoningStore();
  const [one, other] = ["one", "other"].map((client) => memory.within(client, () => {}));
  one?.remember("call_1", [item("x")]);
  other?.forget("call_1");
  expect([other?.recall("call_1"), memory.within("", () => {}).recall("one\ncall_1")]).toEqual([[], []]);
  expect(one?.recall("call_1")).toHaveLength(1);
});
