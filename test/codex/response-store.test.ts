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
  items?.map((item) => (item["content"] as { text: string }[])[0]?.text);

describe("conversations", () => {
  test("are the turns that led to a response, oldest first", () => {
    const store = new ResponseStore();
    store.remember("", turn("a"), 0);
    store.remember("", turn("b", "a"), 0);
    store.remember("", turn("other", "a"), 0);
    store.remember("", turn("c", "b"), 0);
    expect(texts(store.conversation("", "c", 0))).toEqual(["ask a", "say a", "ask b", "say b", "ask c", "say c"]);
    expect(texts(store.conversation("", "other", 0))).toEqual(["ask a", "say a", "ask other", "say other"]);
    expect(store.conversation("", "nobody", 0)).toBeUndefined();
  });

  test("stay within bounds when upstream gives every response the same id", () => {
    const store = new ResponseStore();
    const large = { ...turn("a"), input: [message("x".repeat(40 * 1024 * 1024))] };
    store.remember("", large, 0);
    store.remember("", { ...large, previousId: "a" }, 0);
    expect(store.get("", "a", 0)).toBeUndefined();
    store.remember("", turn("a"), 0);
    store.remember("", turn("a", "a", "more"), 0);
    expect(texts(store.conversation("", "a", 0))).toEqual(["ask a", "say a", "ask more", "say more"]);
  });

  test("go on from known responses only", () => {
    const store = new ResponseStore();
    store.remember("", turn("b", "unknown"), 0);
    expect(store.get("", "b", 0)).toBeUndefined();
  });

  test("belong to their key", () => {
    const store = new ResponseStore();
    store.remember("one", turn("a"), 0);
    expect(store.get("two", "a", 0)).toBeUndefined();
    expect(store.item("two", "msg_a", 0)).toBeUndefined();
    expect(store.forget("two", "a")).toBe(false);
    expect(store.item("one", "msg_a", 0)).toMatchObject({ id: "msg_a" });
  });

  test("outlive the response that they began with, and end when they are forgotten", () => {
    const store = new ResponseStore();
    store.remember("", turn("a"), 0);
    store.remember("", turn("b", "a"), 0);
    expect(store.forget("", "a")).toBe(true);
    expect(store.get("", "a", 0)).toBeUndefined();
    expect(texts(store.conversation("", "b", 0))).toEqual(["ask a", "say a", "ask b", "say b"]);
    expect(store.forget("", "b")).toBe(true);
    expect(store.forget("", "b")).toBe(false);
  });
});

describe("room", () => {
  test("is for 256 responses, the least recently used goes first", () => {
    const store = new ResponseStore();
    for (let index = 0; index < 256; index += 1) store.remember("", turn(`r${index}`), 0);
    expect(store.get("", "r0", 0)).toBeDefined();
    store.remember("", turn("new"), 0);
    expect(store.get("", "r0", 0)).toBeDefined();
    expect(store.get("", "r1", 0)).toBeUndefined();
  });

  test("a conversation of any length goes on", () => {
    const store = new ResponseStore();
    for (let index = 0; index < 400; index += 1) {
      store.remember("", turn(`r${index}`, index === 0 ? undefined : `r${index - 1}`), 0);
    }
    expect(store.conversation("", "r399", 0)).toHaveLength(800);
    expect(store.get("", "r0", 0)).toBeUndefined();
  });

  test("is bounded in size, and given back when a conversation ends", () => {
    const store = new ResponseStore();
    const large = "x".repeat(10 * 1024 * 1024);
    for (let index = 0; index < 5; index += 1) {
      store.remember("", turn(`r${index}`, index === 0 ? undefined : `r${index - 1}`, large), 0);
    }
    // Two texts of 10 MiB a turn: the fourth is too much, and takes the whole conversation with it.
    expect(store.get("", "r0", 0)).toBeUndefined();
    store.remember("", turn("small"), 0);
    expect(store.get("", "small", 0)).toBeDefined();
    store.remember("", turn("too large", undefined, "x".repeat(40 * 1024 * 1024)), 0);
    expect(store.get("", "too large", 0)).toBeUndefined();
    expect(store.get("", "small", 0)).toBeDefined();
  });

  test("is kept for an hour after the last use", () => {
    const store = new ResponseStore();
    store.remember("", turn("a"), 0);
    expect(store.get("", "a", HOUR_MS)).toBeDefined();
    expect(store.get("", "a", 2 * HOUR_MS)).toBeDefined();
    expect(store.get("", "a", 3 * HOUR_MS + 1)).toBeUndefined();
  });
});
