import { afterAll, expect, test } from "bun:test";
import fc from "fast-check";
import { RelayError } from "../../src/lib/errors.ts";
import { readJson } from "../../src/server/http/body.ts";
import { MemoryBudget } from "../../src/server/budget.ts";

const MIB = 1024 * 1024;

const budget = new MemoryBudget(
  () => 512 * MIB,
  () => 64 * MIB,
);

/** What was read of the last request, and what the budget held then. */
let outcome: { readonly value?: unknown; readonly error?: unknown; readonly heldBytes: number };

const server = Bun.serve({
  port: 0,
  async fetch(request) {
    const share = budget.open();
    try {
      const value = await readJson({ request, share }, 16 * MIB);
      outcome = { value, heldBytes: budget.heldBytes };
    } catch (error) {
      outcome = { error, heldBytes: budget.heldBytes };
    }
    share.close();
    return new Response();
  },
});
afterAll(() => server.stop(true));

/** The body with its length announced, or not. */
async function read(body: Uint8Array<ArrayBuffer>, isAnnounced = true): Promise<typeof outcome> {
  const stream = () => new Blob([body]).stream();
  await fetch(server.url, {
    method: "POST",
    body: isAnnounced ? body : stream(),
    headers: { "content-type": "text/plain" },
  });
  return outcome;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

test("a body is the same JSON whether or not its length was announced, whatever bytes are in its strings", async () => {
  const strays = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.json({ stringUnit: "binary" }), strays, fc.boolean(), async (json, changes, hasMark) => {
      const bytes = bytesOf(`${hasMark ? "\ufeff" : ""}["padding", ${json}]`);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const announced = await read(bytes);
      const streamed = await read(bytes, false);
      expect(announced.value).toEqual(streamed.value);
      expect(String(announced.error)).toBe(String(streamed.error));
      expect(announced.heldBytes).toBe(3 * bytes.length);
      expect(streamed.heldBytes).toBe(3 * bytes.length);
    }),
    { numRuns: 200 },
  );
});

test.each([
  ["small", 10],
  ["of text alone", 4 * MIB],
  ["read in pieces", 9 * MIB],
])("a body is read: %s", async (_what, length) => {
  const value = { text: "é".repeat(length / 2) };
  const bytes = bytesOf(JSON.stringify(value));
  expect(Bun.deepEquals((await read(bytes)).value, value)).toBe(true);
  expect(outcome.heldBytes).toBe(3 * bytes.length);
});

test.each([
  ["too large", `"${"x".repeat(17 * MIB)}"`, "request_too_large"],
  ["nested too deeply", `${"[".repeat(501)}"${"x".repeat(1000)}"`, "invalid_request"],
  ["of very many values", `[${"0,".repeat(MIB)}0]`, "request_too_large"],
  ["empty", "", "invalid_request"],
  ["blank", " \r\n\t", "invalid_request"],
  ["no JSON", '{"a":', "invalid_request"],
])("a body is refused that is %s", async (_what, text, code) => {
  for (const isAnnounced of [true, false]) {
    const { error } = await read(bytesOf(text), isAnnounced);
    if (!(error instanceof RelayError)) throw new Error("not refused");
    expect(error.code).toBe(code as RelayError["code"]);
  }
});
