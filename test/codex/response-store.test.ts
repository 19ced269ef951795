import { describe, expect, test } from "bun:test";
import { ResponseStore, type StoredTurn } from "../../src/codex/response-store.ts";

const HOUR_MS = 60 * 60_000;

const message = (text: string, id?: string) => ({
  type: "message",
  role: "user",
  ...(id === undefined ? {} : { id }),
  content: [{ type: "input_text", text }],
});

function turn(id: string, previousId?: string, text = id): StoredTurn {
  return {
    id,
    previousId,
    input: [message(`ask ${text}`)],
    output: [message(`say ${text}`, `msg_${id}`)],
    response: { id, output: [message(`say ${text}`)] },
  };
}

const texts = (items: ReturnType<ResponseStore["conversation"]>) =>
  items?.value().map((item) => (item["content"] as { text: string }[])[0]?.text);

describe("conversations", () => {
  test("are the turns that led to a response, oldest first", () => {
    const store = new ResponseStore();
    store.remember(turn("a"), 0);
    store.remember(turn("b", "a"), 0);
    store.remember(turn("other", "a"), 0);
    store.remember(turn("c", "b"), 0);
    expect(texts(store.conversation("c", 0))).toEqual(["ask a", "say a", "ask b", "say b", "ask c", "say c"]);
    expect(texts(store.conversation("other", 0))).toEqual(["ask a", "say a", "ask other", "say other"]);
    expect(store.conversation("nobody", 0)).toBeUndefined();
  });

  test("stay within bounds when upstream gives every response the same id", () => {
    const store = new ResponseStore();
    const large = { ...turn("a"), input: [message("x".repeat(40 * 1024 * 1024))] };
    store.remember(large, 0);
    store.remember({ ...large, previousId: "a" }, 0);
    expect(store.get("a", 0)).toBeUndefined();
    store.remember(turn("a"), 0);
    store.remember(turn("a", "a", "more"), 0);
    expect(texts(store.conversation("a", 0))).toEqual(["ask a", "say a", "ask more", "say more"]);
  });

  test("go on from known responses only", () => {
    const store = new ResponseStore();
    store.remember(turn("b", "unknown"), 0);
    expect(store.get("b", 0)).toBeUndefined();
  });

  test("outlive the response that they began with, and end when they are forgotten", () => {
    const store = new ResponseStore();
    store.remember(turn("a"), 0);
    store.remember(turn("b", "a"), 0);
    expect(store.forget("a")).toBe(true);
    expect(store.get("a", 0)).toBeUndefined();
    expect(texts(store.conversation("b", 0))).toEqual(["ask a", "say a", "ask b", "say b"]);
    expect(store.forget("b")).toBe(true);
    expect(store.forget("b")).toBe(false);
  });
});

describe("items", () => {
  test("are found by their ids without looking through what is stored, the newest of each id", () => {
    const store = new ResponseStore();
    const items = Array.from({ length: 20_000 }, (_, index) => message(`m${index}`, `item_${index}`));
    for (const id of ["a", "b", "c"]) store.remember({ ...turn(id), input: items }, 0);
    const start = performance.now();
    expect(items.every((item, index) => store.item(`item_${index}`, 0)?.value === item)).toBe(true);
    // Looking through three turns of 20,000 items for each of them took 45 s.
    expect(performance.now() - start).toBeLessThan(5000);
    store.remember({ ...turn("d"), input: [message("newer", "item_1")] }, 0);
    expect(store.item("item_1", 0)?.value).toEqual(message("newer", "item_1"));
  });

  test("are gone with the last turn that has them", () => {
    const store = new ResponseStore();
    store.remember(turn("a"), 0);
    expect(store.item("msg_a", 0)?.value).toMatchObject({ id: "msg_a" });
    store.forget("a");
    expect(store.item("msg_a", 0)).toBeUndefined();
  });

  test("and conversations say how large they are before anybody takes them in", () => {
    const store = new ResponseStore();
    store.remember(turn("a", undefined, "x".repeat(1000)), 0);
    store.remember(turn("b", "a", "y".repeat(1000)), 0);
    const characters = store.conversation("b", 0)?.size.characters ?? 0;
    expect(characters).toBeGreaterThan(4000);
    expect(characters).toBeLessThan(5000);
    expect(store.item("msg_b", 0)?.size.characters).toBeGreaterThan(1000);
  });

  test("of more values than a request may have are not kept", () => {
    const store = new ResponseStore();
    const many = Array.from({ length: 20_000 }, () => message("m"));
    store.remember({ ...turn("a"), input: many }, 0);
    store.remember({ ...turn("b", "a"), input: many }, 0);
    expect(store.get("a", 0)).toBeDefined();
    expect(store.get("b", 0)).toBeUndefined();
  });
});

describe("room", () => {
  test("is for 256 responses, the least recently used goes first", () => {
    const store = new ResponseStore();
    for (let index = 0; index < 256; index += 1) store.remember(turn(`r${index}`), 0);
    expect(store.get("r0", 0)).toBeDefined();
    store.remember(turn("new"), 0);
    expect(store.get("r0", 0)).toBeDefined();
    expect(store.get("r1", 0)).toBeUndefined();
  });

  test("a conversation of any length goes on", () => {
    const store = new ResponseStore();
    for (let index = 0; index < 400; index += 1) {
      store.remember(turn(`r${index}`, index === 0 ? undefined : `r${index - 1}`), 0);
    }
    expect(store.conversation("r399", 0)?.value()).toHaveLength(800);
    expect(store.get("r0", 0)).toBeUndefined();
  });

  test("is bounded in size, and given back when a conversation ends", () => {
    const store = new ResponseStore();
    const large = "x".repeat(10 * 1024 * 1024);
    for (let index = 0; index < 5; index += 1) {
      store.remember(turn(`r${index}`, index === 0 ? undefined : `r${index - 1}`, large), 0);
    }
    // Two texts of 10 MiB a turn: the fourth is too much, and takes the whole conversation with it.
    expect(store.get("r0", 0)).toBeUndefined();
    store.remember(turn("small"), 0);
    expect(store.get("small", 0)).toBeDefined();
    store.remember(turn("too large", undefined, "x".repeat(40 * 1024 * 1024)), 0);
    expect(store.get("too large", 0)).toBeUndefined();
    expect(store.get("small", 0)).toBeDefined();
  });

  test("is kept for an hour after the last use", () => {
    const store = new ResponseStore();
    store.remember(turn("a"), 0);
    expect(store.get("a", HOUR_MS)).toBeDefined();
    expect(store.get("a", 2 * HOUR_MS)).toBeDefined();
    expect(store.get("a", 3 * HOUR_MS + 1)).toBeUndefined();
  });
});
