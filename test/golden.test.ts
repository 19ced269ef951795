import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { finishRequest } from "../src/codex/request/finish.ts";
import type { Envelope } from "../src/codex/request/lite.ts";
import { RelayError } from "../src/lib/errors.ts";
import type { Translation } from "../src/protocols/protocol.ts";
import { asked, contextOf, eventsOf, loadCases, refusalBody, streamed, whole, type Case } from "./support/cases.ts";

/** Rewrites the expected files; the diff is the review. */
const isUpdating = process.env["UPDATE_GOLDEN"] === "1";

const cases = loadCases();

/** Holds a text against its file. A file that is not expected must not be there. */
function compare(one: Case, suffix: string, actual: string | undefined) {
  const path = one.path(suffix);
  if (isUpdating) {
    if (actual === undefined) rmSync(path, { force: true });
    else writeFileSync(path, actual);
  }
  expect(existsSync(path) ? readFileSync(path, "utf8") : undefined).toBe(actual);
}

const pretty = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

/** The request as it goes on the wire in one envelope, and what the client is told about it. */
function sent({ body, dropped, changed }: Translation, envelope: Envelope) {
  const { wire, adjusted } = finishRequest(body, { envelope, clientId: "" });
  return { body: wire, adjusted: [...new Set([...dropped, ...changed, ...adjusted])].toSorted() };
}

function translated({ protocol, request, settings }: Case) {
  try {
    const { translation } = asked(protocol, request, contextOf(settings));
    return { full: sent(translation, "full"), lite: sent(translation, "lite") };
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
}

test("there are conversations for every row of the contract", () => {
  expect(new Set(cases.map((one) => one.path("").replace(/\/[^/]*$/, ""))).size).toBeGreaterThanOrEqual(60);
});

describe.each(cases.map((one) => [one.name, one] as const))("%s", (_name, one) => {
  const request = translated(one);

  test("request", () => {
    compare(one, "codex.json", request instanceof RelayError ? undefined : pretty(request.full));
    compare(one, "codex-lite.json", request instanceof RelayError ? undefined : pretty(request.lite));
  });

  const streamFile = one.protocol.streamFormat === "ndjson" ? "stream.ndjson" : "stream.sse";

  test("streamed and whole", async () => {
    if (request instanceof RelayError) {
      compare(one, "error.json", pretty(refusalBody(one.protocol, request)));
      compare(one, streamFile, undefined);
      compare(one, "response.json", undefined);
      return;
    }
    const events = await eventsOf(one.tape);
    const stream = streamed(one, events);
    compare(one, streamFile, stream.frames);
    const body = whole(one, events);
    compare(one, "response.json", body instanceof RelayError ? undefined : pretty(body));
    const refusal = body instanceof RelayError ? body : stream.refusal;
    compare(one, "error.json", refusal ? pretty(refusalBody(one.protocol, refusal)) : undefined);
  });
});
