import { expect, test } from "bun:test";
import fc from "fast-check";
import { prefixDeparture, prefixMarks } from "../../src/codex/prefix.ts";
import type { CodexRequest } from "../../src/codex/wire/request.ts";
import { PrefixWatch } from "../../src/upstream/prefix-watch.ts";

const item = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const body = (texts: readonly string[], over: Partial<CodexRequest> = {}): CodexRequest =>
  ({ model: "m", instructions: "i", input: texts.map(item), tools: [], ...over }) as CodexRequest;
const departure = (earlier: CodexRequest, later: CodexRequest) =>
  prefixDeparture(prefixMarks(earlier, "full"), prefixMarks(later, "full"));

test("the first part that differs is named, in the order in which the backend reads them", () => {
  const base = body(["a", "b"]);
  expect(departure(base, body(["a", "b", "c"]))).toBeUndefined();
  expect(departure(base, body(["a"]))).toBeUndefined();
  expect(departure(base, body(["a", "x", "c"]))).toBe("input[1]");
  expect(departure(base, body(["x"], { tools: [{ type: "function", name: "f" }] }))).toBe("tools");
  expect(departure(base, body(["x"], { instructions: "other" }))).toBe("instructions");
  expect(departure(base, body(["a", "b"], { model: "other" }))).toBe("model");
  expect(prefixDeparture(prefixMarks(base, "full"), prefixMarks(base, "lite"))).toBe("envelope");
});

test("a changed item is found wherever it stands, and nothing else is taken for a change", () => {
  const texts = fc.array(fc.string(), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(texts, fc.nat(), fc.array(fc.string()), (before, at, more) => {
      const index = at % before.length;
      const changed = before.with(index, `${before[index]}!`);
      expect(departure(body(before), body([...before, ...more]))).toBeUndefined();
      expect(departure(body(before), body([...changed, ...more]))).toBe(`input[${index}]`);
    }),
  );
});

test("conversations do not meet, and the least recently used are forgotten", () => {
  const watch = new PrefixWatch();
  const notice = (id: string, ...texts: string[]) => watch.notice(id, body(texts), "full");
  notice("one", "a");
  expect(notice("two", "b")).toBeUndefined();
  expect(notice("one", "b")).toBe("input[0]");
  for (let index = 0; index < 300; index += 1) notice(`other ${index}`, "z");
  expect(notice("one", "c")).toBeUndefined();
});

test("conversations too large to be looked at are left alone, and forgotten", () => {
  const watch = new PrefixWatch();
  watch.notice("one", body(["a"]), "full");
  expect(watch.notice("one", body(["b".repeat(5_000_000)]), "full")).toBeUndefined();
  expect(watch.notice("one", body(["c"]), "full")).toBeUndefined();
});
