import { expect, test } from "bun:test";
import { conversationId, conversationKey } from "../../../src/codex/request/cache-key.ts";
import type { CodexRequest } from "../../../src/codex/wire/schema.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/;
const says = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const body = (...texts: string[]): CodexRequest => ({
  model: "m",
  instructions: "I",
  input: texts.map(says),
  include: [],
  store: false,
  stream: true,
});

test("turns of one conversation share a key; other openings and other clients do not", () => {
  const key = conversationKey(body("hello"), "");
  expect(key).toMatch(UUID);
  expect(conversationKey(body("hello", "and then?"), "")).toBe(key);
  expect(conversationKey(body("good day"), "")).not.toBe(key);
  expect(conversationKey(body("hello"), "other")).not.toBe(key);
});

test("a client's own key becomes a UUID for the headers, and a UUID stays", () => {
  expect(conversationId("my-key")).toMatch(UUID);
  expect(conversationId("01a1fb49-6179-7b90-b2e3-23cdba3f4448")).toBe("01a1fb49-6179-7b90-b2e3-23cdba3f4448");
});
