import { expect, test } from "bun:test";
import { acceptableKey, conversationId, conversationKey } from "../../../src/codex/request/cache-key.ts";
import type { CodexRequest } from "../../../src/codex/wire/request.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/;
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

test.each([
  [5, "0198ac30-1b4e-76d8-add7-d47643bb7313"],
  [16_000, "0197dadf-33a3-7eb4-ac05-891396f26575"],
  [16_384, "019ec6a8-d6e6-7956-ae8b-ecc3161188c2"],
  [16_385, "019db206-ac43-74b4-a729-8f2278c0b298"],
  [50_000, "0197a535-6641-7704-ab9b-2bcf870c5a42"],
])("a text of %d characters has the key that it always had", (length, key) => {
  expect(conversationKey(body("x".repeat(length)), "")).toBe(key);
});

test("of a long text only the beginning and the length count", () => {
  const text = (end: string) => `${"x".repeat(16_384)}${end}`;
  expect(conversationKey(body(text("yy")), "")).toBe(conversationKey(body(text("zz")), ""));
  expect(conversationKey(body(text("yy")), "")).not.toBe(conversationKey(body(text("y")), ""));
});

test("a key over 64 characters becomes its hash, distinct keys stay distinct, short ones stay (NousResearch/hermes-agent#24273)", () => {
  const long = (end: string) => `workspace:${"0f".repeat(40)}:${end}`;
  expect(acceptableKey(long("1"))).toHaveLength(64);
  expect(acceptableKey(long("1"))).toBe(acceptableKey(long("1")));
  expect(acceptableKey(long("1"))).not.toBe(acceptableKey(long("2")));
  expect(acceptableKey("short-key")).toBe("short-key");
});

test("conversation ids are of version 7, whatever the client's key is (contract 0.20)", () => {
  expect(conversationId("5b0f0b2c-7b0e-4f8a-9a55-0d6a2b1c3d4e")).toMatch(UUID);

  expect(conversationId("my-key")).toMatch(UUID);
  expect(conversationId("01a1fb49-6179-7b90-b2e3-23cdba3f4448")).toBe("01a1fb49-6179-7b90-b2e3-23cdba3f4448");
});
