import { expect, test } from "bun:test";
import type { CodexEvent } from "../../../src/codex/wire/schema.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { Numbering } from "../../../src/protocols/responses/numbering.ts";
import type { Frame } from "../../../src/protocols/protocol.ts";

const upstream = (type: string, number?: number) =>
  WireEvent.from(JSON.stringify({ type, ...(number === undefined ? {} : { sequence_number: number }) })) as WireEvent;
const own = (type: string) => WireEvent.of({ type } as CodexEvent);

/** The numbers of what was sent, and which of it passed as it came. */
function sent(play: (out: Numbering) => void) {
  const frames: Frame[] = [];
  play(new Numbering((frame) => frames.push(frame)));
  const numbers = frames.map((frame) => {
    const data: unknown = frame instanceof WireEvent ? frame.event : frame.data;
    return (data as { sequence_number?: number }).sequence_number;
  });
  return { numbers, passed: frames.filter((frame) => frame instanceof WireEvent).length };
}

test("events of upstream's pass with the numbers that they have, gaps and all", () => {
  const { numbers, passed } = sent((out) => {
    for (const number of [0, 1, 4]) out.pass(upstream("response.x", number));
  });
  expect([numbers, passed]).toEqual([[0, 1, 4], 3]);
});

test("what the relay adds is numbered, and all behind it anew", () => {
  const { numbers } = sent((out) => {
    out.pass(upstream("response.a", 3));
    out.pass(own("response.b"));
    out.pass(upstream("response.c", 4));
    out.made({ type: "response.completed", sequence_number: 5 });
  });
  expect(numbers).toEqual([3, 4, 5, 6]);
});

test("an event that stands for one of upstream's keeps its number", () => {
  const { numbers, passed } = sent((out) => {
    out.made({ type: "response.created", sequence_number: 0 });
    out.pass(upstream("response.a", 1));
    out.made({ type: "response.completed", sequence_number: 2 });
  });
  expect([numbers, passed]).toEqual([[0, 1, 2], 1]);
});

test("streams without numbers get them", () => {
  const { numbers } = sent((out) => {
    for (const type of ["a", "b", "c"]) out.pass(upstream(`response.${type}`));
  });
  expect(numbers).toEqual([0, 1, 2]);
});

test("an error has a number above all others, and a code even where the API has none", () => {
  const error = new RelayError("invalid_request", "No.");
  const frames: Frame[] = [];
  const out = new Numbering((frame) => frames.push(frame));
  out.pass(upstream("response.a", 7));
  out.error(error);
  expect(frames.at(-1)).toMatchObject({
    event: "error",
    data: { type: "error", sequence_number: 8, code: "invalid_request", message: "No.", error: { message: "No." } },
  });
});
