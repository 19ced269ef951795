import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { WireEvent } from "../../src/codex/wire/event.ts";
import { isTerminal } from "../../src/codex/wire/event-types.ts";
import { RelayError } from "../../src/lib/errors.ts";
import { eventsOf, loadCases, contextOf, streamed, whole, type Case } from "../support/cases.ts";
import { randomOf } from "./mutate.ts";
import { Account } from "./report.ts";

/** `FAULT_RUNS=500 FAULT_SEED=3 bun test hostile/faults` looks harder. */
const runs = Number(process.env["FAULT_RUNS"] ?? 30);
const seed = Number(process.env["FAULT_SEED"] ?? 1);

let account: Account;
beforeAll(() => {
  account = new Account("faults between events", seed);
});
afterAll(() => account.close());

function isAccepted({ protocol, request, settings }: Case): boolean {
  try {
    protocol.read(request, contextOf(settings));
    return true;
  } catch {
    return false;
  }
}

const table = loadCases()
  .filter(isAccepted)
  .map((one) => [one.name, one] as const);

/** A frame that says that the answer is over and good. */
const GOOD_END = /"finish_reason":"|"type":"response\.(completed|incomplete)"|"stop_reason":"|"done":true/;
/** A frame that says that it went wrong. */
const BAD_END = /"error":(?!null)|"type":"(error|response\.failed)"/;

/** The end of a stream: told to the client as what it was. */
function endOf(one: Case, events: readonly WireEvent[]): "good" | "bad" | "refused" {
  const stream = streamed(one, events);
  if (stream.refusal) return "refused";
  const isBad = BAD_END.test(stream.frames);
  const isGood = GOOD_END.test(stream.frames);
  if (!isBad && !isGood) throw new Error(`it never ended: ${stream.frames.slice(-300)}`);
  return isBad ? "bad" : "good";
}

describe.each(table)("%s", (_name, one) => {
  test("cut at any event it never ends well without its end", async () => {
    const events = await eventsOf(one.tape);
    const usual = streamed(one, events);
    account.tried(events.length);
    for (let kept = 0; kept < events.length; kept += 1) {
      const head = events.slice(0, kept);
      const end = endOf(one, head);
      const isComplete = head.some((event) => isTerminal(event.type));
      // A stop sequence or a limit of tokens ends an answer by itself: then the rest of the stream changes nothing.
      if (end === "good" && !isComplete) expect([kept, streamed(one, head)]).toEqual([kept, usual]);
      expect(whole(one, head) instanceof RelayError).toBe(end !== "good");
    }
  });

  test(`lost, doubled and swapped events never break it (seed ${seed})`, async () => {
    const events = await eventsOf(one.tape);
    const random = randomOf(seed);
    account.tried(runs);
    const any = () => Math.floor(random() * events.length);
    for (let run = 0; run < runs; run += 1) {
      const spoiled = [...events];
      for (let times = 1 + Math.floor(random() * 3); times > 0; times -= 1) {
        const [from, to] = [any(), any()];
        const [event] = random() < 0.6 ? spoiled.splice(from, 1) : [spoiled[from]];
        if (event && random() < 0.6) spoiled.splice(to, 0, event);
      }
      const end = endOf(one, spoiled);
      expect(whole(one, spoiled) instanceof RelayError).toBe(end !== "good");
    }
  });
});

/** Bytes spoiled on the way: whatever comes of them, it is an answer, an error in the dialect, or a refusal. */
describe.each(table)("%s", (_name, one) => {
  test(`spoiled bytes end in something that clients can read (seed ${seed})`, async () => {
    const random = randomOf(seed);
    for (let run = 0; run < runs; run += 1) {
      const tape = new Uint8Array(one.tape);
      const at = Math.floor(random() * tape.length);
      const how = random();
      const bytes =
        how < 0.3
          ? tape.slice(0, at)
          : how < 0.6
            ? Uint8Array.from([...tape.slice(0, at), Math.floor(random() * 256), ...tape.slice(at)])
            : Uint8Array.from([...tape.slice(0, at), ...tape.slice(at + 1 + Math.floor(random() * 40))]);
      if (bytes.length === 0) continue;
      endOf(one, await eventsOf(bytes));
    }
    account.tried(runs);
  });
});
