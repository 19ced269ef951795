import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CodexEvent } from "../src/codex/wire/schema.ts";
import { contextOf, eventsOf, loadCases, opened, streamed, type Case } from "./support/cases.ts";
import { expectOneReply } from "./support/one-reply.ts";

/** `LAW_RUNS=1000 bun test laws` looks harder. */
const runs = Number(process.env["LAW_RUNS"] ?? 15);

function isAccepted({ protocol, request, settings }: Case): boolean {
  try {
    protocol.read(request, contextOf(settings));
    return true;
  } catch {
    return false;
  }
}

const cases = loadCases().filter(isAccepted);
const table = cases.map((one) => [one.name, one] as const);

/** Tapes of what no backend should send: the normalizer is there for them. */
const IRREGULAR = [
  "arguments-as-an-object",
  "calls-with-one-index-and-no-ids",
  "end-without-a-response",
  "pieces-without-index-or-id",
  "usage-with-holes",
];

function isIrregular(name: string): boolean {
  return IRREGULAR.some((irregular) => name.startsWith(irregular));
}

describe.each(table)("%s", (_name, one) => {
  test("cutting the tape anywhere gives the same frames", async () => {
    const usual = streamed(one, await eventsOf(one.tape));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(one.tape.length * 2), { maxLength: 12 }), async (places) => {
        const again = streamed(one, await eventsOf(one.tape, places));
        expect(again.frames).toBe(usual.frames as string);
        expect(again.refusal?.message).toBe(usual.refusal?.message as string);
      }),
      { numRuns: runs },
    );
    const everyByte = Array.from({ length: one.tape.length }, (_, place) => place);
    expect(streamed(one, await eventsOf(one.tape, everyByte)).frames).toBe(usual.frames as string);
  });

  test.skipIf(isIrregular(_name))("every event fits the schema", async () => {
    const known = new Set(CodexEvent.options.map((option) => option.shape.type.value as string));
    for (const wire of await eventsOf(one.tape)) {
      if (known.has(wire.type)) expect(CodexEvent.safeParse(wire.event).error?.issues).toBeUndefined();
    }
  });

  test("what was streamed folds to the whole reply", async () => {
    expectOneReply(one, await eventsOf(one.tape));
  });
});

/** Tapes in upstream's own form, to the end of the answer: the relay has no byte of them to change. */
const canonical = table.filter(([, { protocol, tape }]) => {
  const isPlain = /^(event: [^\n]*\ndata: [^\n]*\n\n)+$/.test(new TextDecoder().decode(tape));
  return protocol.name === "responses" && isPlain;
});

test.each(canonical)("%s: a Codex client gets the stream to the letter", async (_name, one) => {
  const context = { ...contextOf(one.settings), isCodexClient: true };
  const { stream, take } = opened(one.protocol, one.request, context);
  for (const event of await eventsOf(one.tape)) stream.onEvent(event);
  stream.onEnd();
  expect(take()).toBe(new TextDecoder().decode(one.tape));
});

/**
 * Built delta by delta, so order matters most to them. Where a message's phase or a stop sequence decides what is shown,
 * a whole reply waits for the end of the message, which a stream cannot: without order the two may differ.
 */
const rebuilt = table.filter(
  ([name, one]) =>
    one.protocol.name !== "responses" &&
    !name.startsWith("stop-sequence") &&
    !new TextDecoder().decode(one.tape).includes('"phase":'),
);

test.each(rebuilt)("%s: lost, doubled or unordered events still make one reply or refusal", async (_name, one) => {
  const events = await eventsOf(one.tape);
  const order = fc.array(fc.nat(Math.max(0, events.length - 1)), { maxLength: events.length + 3 });
  fc.assert(
    fc.property(order, fc.boolean(), (places, isSorted) => {
      const chosen = (isSorted ? places.toSorted((x, y) => x - y) : places).flatMap((place) => events[place] ?? []);
      expectOneReply(one, chosen);
    }),
    { numRuns: runs * 2 },
  );
});
