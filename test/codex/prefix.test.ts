import { expect, test } from "bun:test";
import fc from "fast-check";
import { prefixDeparture, prefixMarks, type MarkedRequest, type PrefixMarks } from "../../src/codex/prefix.ts";
import type { CodexRequest } from "../../src/codex/wire/request.ts";
import { PrefixReading, PrefixWatch } from "../../src/upstream/prefix-watch.ts";

const item = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const body = (texts: readonly string[], over: Partial<CodexRequest> = {}): CodexRequest =>
  ({ model: "m", instructions: "i", tools: [], ...over, input: texts.map(item) }) as CodexRequest;

const written = (of: CodexRequest): MarkedRequest => ({ body: of, envelope: "full", text: JSON.stringify(of) });
const unwritten = (of: CodexRequest): MarkedRequest => ({ ...written(of), text: undefined });

function marksOf(request: MarkedRequest, last?: PrefixMarks): PrefixMarks {
  const marks = prefixMarks(request, last);
  if (!marks) throw new Error("too large");
  return marks;
}

/** As it is found with the texts, and without them. */
function departure(earlier: CodexRequest, later: CodexRequest): string | undefined {
  const [withText, without] = [written, unwritten].map((form) => {
    const first = marksOf(form(earlier));
    return { found: prefixDeparture(first, marksOf(form(later), first)) };
  });
  expect(withText).toEqual(without);
  return without?.found;
}

test("the first part that differs is named, in the order in which the backend reads them", () => {
  const base = body(["a", "b"]);
  expect(departure(base, body(["a", "b", "c"]))).toBeUndefined();
  expect(departure(base, body(["a"]))).toBeUndefined();
  expect(departure(base, body(["a", "x", "c"]))).toBe("input[1]");
  expect(departure(base, body(["x"], { tools: [{ type: "function", name: "f" }] }))).toBe("tools");
  expect(departure(base, body(["x"], { instructions: "other" }))).toBe("instructions");
  expect(departure(base, body(["a", "b"], { model: "other" }))).toBe("model");
  expect(prefixDeparture(marksOf(written(base)), marksOf({ ...written(base), envelope: "lite" }))).toBe("envelope");
});

test("tools that are added behind the input, as another program may write them, are found", () => {
  const [one, two] = [{ type: "a" }, { type: "b" }];
  const { tools: _tools, ...rest } = body(["a"]);
  const verbatim = (...tools: object[]): MarkedRequest => ({ ...written({ ...rest, tools }), envelope: "verbatim" });
  const first = marksOf(verbatim(one));
  expect(prefixDeparture(first, marksOf(verbatim(one, two), first))).toBe("tools");
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

test("marks are the same whether or not they were taken with those of the turn before", () => {
  const settings = fc.record({
    store: fc.constant(false as const),
    stream: fc.constant(true as const),
    model: fc.constantFrom("m", "n"),
    instructions: fc.constantFrom("i", "\ud83d"),
    tools: fc.array(fc.constantFrom({ type: "a" }, { type: "b", input: [{}] }), { maxLength: 2 }),
    include: fc.array(fc.constantFrom("x", "y"), { maxLength: 2 }),
  });
  const texts = fc.array(fc.constantFrom("a", "b", "]}", '"input":['), { maxLength: 4 });
  const isLast = fc.boolean();
  /** Clients of Codex write the input where they like. */
  const requests = fc.tuple(settings, texts, isLast).map(([rest, list, last]) => {
    const input = list.map(item);
    return written(last ? { ...rest, input } : { input, ...rest });
  });
  fc.assert(
    fc.property(requests, requests, (earlier, later) => {
      const last = marksOf(earlier);
      expect(marksOf(later, last)).toEqual(marksOf(later));
    }),
    { numRuns: 2000 },
  );
});

test("conversations do not meet, and the least recently used are forgotten", () => {
  const watch = new PrefixWatch();
  const notice = (id: string, ...texts: string[]) => watch.notice(id, watch.read(id, written(body(texts))));
  notice("one", "a");
  expect(notice("two", "b")).toBeUndefined();
  expect(notice("one", "b")).toBe("input[0]");
  for (let index = 0; index < 300; index += 1) notice(`other ${index}`, "z");
  expect(notice("one", "c")).toBeUndefined();
});

test.each([
  ["with a text", written],
  ["without one", unwritten],
])("conversations too large to be looked at are left alone, and forgotten: %s", (_how, form) => {
  const watch = new PrefixWatch();
  const notice = (text: string) => watch.notice("one", watch.read("one", form(body([text]))));
  notice("a");
  expect(notice("b".repeat(5_000_000))).toBeUndefined();
  expect(notice("c")).toBeUndefined();
  expect(notice("d")).toBe("input[0]");
});

test("a request is read once, by the next turn of the event loop or when its marks are asked for", async () => {
  let reads = 0;
  const reading = () =>
    new PrefixReading(() => {
      reads += 1;
      return undefined;
    });
  const asked = reading();
  expect(asked.marks).toBeUndefined();
  expect(reads).toBe(1);
  reading();
  await new Promise((resolve) => setImmediate(resolve));
  expect(reads).toBe(2);
});
