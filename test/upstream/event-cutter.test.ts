import { expect, test } from "bun:test";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { sseText } from "../../src/lib/sse.ts";
import { EventCutter } from "../../src/upstream/event-cutter.ts";
import { WireEvent } from "../../src/codex/wire/event.ts";

const delta = (text: string, part = 0) =>
  JSON.stringify({
    type: "response.output_text.delta",
    item_id: "msg_1",
    output_index: 0,
    content_index: part,
    delta: text,
  });

/** What there is to know of each event, when the text comes in these pieces. */
function cut(...pieces: string[]) {
  const cutter = new EventCutter();
  return pieces.flatMap((piece) => cutter.feed(piece)).map(({ type, data, event }) => ({ type, data, event }));
}

const KEEPALIVE = '{"type":"keepalive"}';
const NEXT = sseText("keepalive", KEEPALIVE);

test.each([
  ["a comment", ": hello\n\n", []],
  ["no event line", `data: ${delta("a")}\n\n`, [delta("a")]],
  ["carriage returns", `event: x\r\ndata: ${delta("a")}\r\n\r\n`, [delta("a")]],
  ["carriage returns alone", `event: x\rdata: ${delta("a")}\r\r`, [delta("a")]],
  ["an id", `event: x\nid: 5\ndata: ${delta("a")}\n\n`, [delta("a")]],
  ["no space", `event:x\ndata:${delta("a")}\n\n`, [delta("a")]],
  ["two data lines", 'event: x\ndata: {"type":\ndata: "keepalive"}\n\n', ['{"type": "keepalive"}']],
  ["more blank lines", `\n\n\nevent: x\ndata: ${delta("a")}\n\n\n`, [delta("a")]],
  ["a name alone", "event: x\n\n", []],
  ["broken JSON", 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","del\n\n', []],
])("%s is read as the standard has it, and what follows too", (_what, frame, expected) => {
  for (const pieces of [[frame + NEXT], [NEXT + frame + NEXT], (NEXT + frame + NEXT).split("")]) {
    const before = pieces[0]?.startsWith("event: k") === true || pieces.length > 1 ? [KEEPALIVE] : [];
    expect(cut(...pieces).map(({ data }) => data)).toEqual([...before, ...expected, KEEPALIVE]);
  }
});

test("whatever the deltas say and wherever they are cut, they are what JSON says they are", () => {
  const escaped = fc.string({ unit: fc.constantFrom('"', "\\", "\n", "a", "é", "\ud83d") });
  const events = fc.array(fc.tuple(fc.oneof(fc.string({ unit: "binary" }), escaped), fc.nat(2)), { maxLength: 8 });
  fc.assert(
    fc.property(events, fc.array(fc.nat(2000)), (said, places) => {
      const all = said.map(([text, part]) => delta(text, part));
      const text = all.map((json) => sseText("response.output_text.delta", json)).join("");
      const ends = [...places.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b), text.length];
      const pieces = ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end));
      expect(cut(...pieces)).toEqual(
        all.map((json) => ({
          type: "response.output_text.delta",
          data: json,
          event: WireEvent.from(json)?.event as never,
        })),
      );
    }),
  );
});

test("whatever lines come in whatever order, the events are those of the standard's parser", () => {
  const line = fc.constantFrom(
    "event: keepalive",
    "event: x",
    `data: ${KEEPALIVE}`,
    "data: {",
    "data: ",
    "id: 1",
    ":",
    "",
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.nat(200), (lines, place) => {
      const text = `${lines.join("\n")}\n\n`;
      const expected: string[] = [];
      const parser = createParser({ onEvent: ({ data }) => void expected.push(WireEvent.from(data)?.data ?? "") });
      parser.feed(text);
      const at = place % text.length;
      const found = cut(text.slice(0, at), text.slice(at)).map(({ data }) => data);
      expect(found).toEqual(expected.filter((data) => data !== ""));
    }),
    { numRuns: 500 },
  );
});

test("deltas of one part are one run, and an unfinished event is never put together twice", () => {
  const cutter = new EventCutter();
  const name = "response.output_text.delta";
  const events = cutter.feed([delta("a"), delta("b"), delta("c", 1)].map((json) => sseText(name, json)).join(""));
  expect(events[0]?.run).toBeDefined();
  expect(events[1]?.run).toBe(events[0]?.run);
  expect(events[2]?.run).not.toBe(events[0]?.run);
  const long = delta("x".repeat(4_000_000));
  const pieces = sseText(name, long).match(/[^]{1,100}/g) ?? [];
  expect(pieces.flatMap((piece) => cutter.feed(piece)).map(({ data }) => data === long)).toEqual([true]);
});

test.each([": ", "note: ", "event: x\nnote: "])("what begins with %p is passed over, however long it is", (begin) => {
  const cutter = new EventCutter();
  cutter.feed(begin);
  for (let fed = 0; fed < 65; fed += 1) cutter.feed("x".repeat(1024 * 1024));
  expect(cutter.feed(`\n\n${NEXT}`).map(({ data }) => data)).toEqual([KEEPALIVE]);
});

test("an event without end is too large to be real", () => {
  const cutter = new EventCutter();
  const piece = "x".repeat(1024 * 1024);
  cutter.feed("event: x\ndata: ");
  for (let fed = 0; fed < 65; fed += 1) cutter.feed(piece);
  expect(cutter.isOversize).toBe(true);
});
