import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CommentFilter } from "../../../src/codex/output/comment-filter.ts";
import { wireCallId, wireToolName } from "../../../src/codex/request/tools/wire-names.ts";
import { StopScanner } from "../../../src/codex/output/stop.ts";
import { ToolCalls } from "../../../src/protocols/chat/tool-calls.ts";

describe("stop sequences", () => {
  const scan = (sequences: string[], pieces: string[]) => {
    const scanner = new StopScanner(sequences);
    const shown = pieces.map((piece) => scanner.push(piece)).join("");
    return { shown: scanner.isHit ? shown : shown + scanner.flush(), isHit: scanner.isHit };
  };

  test("however the text is cut, the first one ends it", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[abE N]{0,6}$/), { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const at = text.search(/EN|bb/);
        expect(scan(["EN", "bb"], pieces)).toEqual({ shown: at < 0 ? text : text.slice(0, at), isHit: at >= 0 });
      }),
    );
  });

  test("no character is cut in half by what is held back", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "😀", "b😀c", "EN"), { maxLength: 8 }), (pieces) => {
        const scanner = new StopScanner(["END?"]);
        for (const piece of pieces) expect(scanner.push(piece).isWellFormed()).toBe(true);
      }),
    );
  });

  test("without any, text passes at once", () => {
    expect(new StopScanner([]).push("abc")).toBe("abc");
  });
});

describe("empty comments in summaries", () => {
  const filter = (pieces: string[]) => {
    const comments = new CommentFilter();
    return pieces.map((piece) => comments.push(piece)).join("") + comments.flush();
  };

  test("go when they stand alone on a line, however they are cut", () => {
    const text = "a\n<!-- -->\nb <!-- --> c\n<!-- x -->\n<b>\n<!-- -->";
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (places) => {
        const ends = [...places, text.length].toSorted((a, b) => a - b);
        const pieces = ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end));
        expect(filter(pieces)).toBe("a\nb <!-- --> c\n<!-- x -->\n<b>\n");
      }),
    );
  });
});

describe("names", () => {
  test("that the backend takes stay, others are told apart by a hash", () => {
    expect(wireToolName("get_weather-2")).toBe("get_weather-2");
    const names = ["a.b", "a/b", "x".repeat(65), `${"x".repeat(64)}y`].map(wireToolName);
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
  });

  test("call ids are cut only when they must be", () => {
    expect(wireCallId("x".repeat(64))).toBe("x".repeat(64));
    expect(wireCallId("x".repeat(65))).toMatch(/^call_[0-9a-f]{32}$/);
    expect(wireCallId("")).toMatch(/^call_[0-9a-f]{32}$/);
  });
});

test("a legacy answer has room for one call", () => {
  const calls = new ToolCalls(new Map(), true);
  const call = (index: number) => ({ index, id: `call_${index}`, name: "f", isCustom: false });
  expect(calls.first(call(0))).toEqual({ function_call: { name: "f", arguments: "" } });
  expect(calls.more(call(0), "{}")).toEqual({ function_call: { arguments: "{}" } });
  expect([calls.first(call(1)), calls.more(call(1), "{}")]).toEqual([undefined, undefined]);
});
