import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { Upload } from "../src/codex/wire/endpoint-call.ts";
import { RelayError } from "../src/lib/errors.ts";
import type { Answer, Exchange } from "../src/protocols/exchange.ts";
import { SSE } from "../src/server/http/frames.ts";
import { contextOf, eventsOf } from "./support/cases.ts";
import { loadExchangeCases, played, type ExchangeCase } from "./support/exchanges.ts";

/** Rewrites the expected files; the diff is the review. */
const isUpdating = process.env["UPDATE_GOLDEN"] === "1";

function compare(one: ExchangeCase, suffix: string, actual: string | undefined) {
  const path = one.path(suffix);
  if (isUpdating) {
    if (actual === undefined) rmSync(path, { force: true });
    else writeFileSync(path, actual);
  }
  expect(existsSync(path) ? readFileSync(path, "utf8") : undefined).toBe(actual);
}

const pretty = (value: unknown) =>
  `${JSON.stringify(
    value,
    (_key, entry: unknown) =>
      entry instanceof Upload ? { file: entry.name, type: entry.type, bytes: entry.bytes.length } : entry,
    2,
  )}\n`;

const refusal = (one: ExchangeCase, error: RelayError) =>
  pretty({ status: error.status, body: one.protocol.toError(error, "req_0123456789abcdef") });

function exchangeOf({ protocol, request }: ExchangeCase): Exchange | RelayError {
  try {
    return protocol.read(request, contextOf({}));
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
}

async function streamed(one: ExchangeCase, places: readonly number[] = []): Promise<string> {
  const exchange = exchangeOf(one);
  if (exchange instanceof RelayError || !("translation" in exchange.way)) throw new Error("the case is no stream");
  let frames = "";
  const stream = exchange.way.stream((frame) => {
    frames += SSE.write(frame);
  });
  try {
    for (const event of await eventsOf(one.tape, places)) {
      stream.onEvent(event);
      if (stream.isDone) return frames;
    }
    stream.onEnd();
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    stream.onFailure(error, "0123456789abcdef");
  }
  return frames;
}

/** An answer as the client gets it. */
function written(answer: Answer): unknown {
  if (!("frames" in answer)) return answer;
  return { text: answer.frames.map((frame) => SSE.write(frame)).join(""), contentType: SSE.contentType };
}

describe.each(loadExchangeCases().map((one) => [one.name, one] as const))("%s", (_name, one) => {
  const exchange = exchangeOf(one);

  test("what is asked, and what is answered", async () => {
    if (exchange instanceof RelayError) return compare(one, "error.json", refusal(one, exchange));
    const { dropped, changed, model, way } = exchange;
    const facts = { model, dropped, changed };
    if ("translation" in way) {
      compare(one, "steps.json", pretty({ ...facts, steps: [{ translation: way.translation }] }));
      compare(one, "stream.sse", await streamed(one));
      return;
    }
    const { steps, answer } = await played(one);
    compare(one, "steps.json", pretty({ ...facts, steps }));
    compare(one, "response.json", answer instanceof RelayError ? undefined : pretty(written(answer)));
    compare(one, "error.json", answer instanceof RelayError ? refusal(one, answer) : undefined);
  });

  if (exchange instanceof RelayError || !("translation" in exchange.way)) return;
  test("cutting the tape anywhere gives the same frames", async () => {
    const usual = await streamed(one);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(one.tape.length * 2), { maxLength: 12 }), async (places) => {
        expect(await streamed(one, places)).toBe(usual);
      }),
      { numRuns: 15 },
    );
  });
});
