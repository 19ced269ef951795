import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { loadCases } from "../support/cases.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { mutated, randomOf } from "./mutate.ts";

/** `FUZZ_RUNS=50000 FUZZ_SEED=7 bun test hostile/input` looks longer and elsewhere. */
const runs = Number(process.env["FUZZ_RUNS"] ?? 1500);
const seed = Number(process.env["FUZZ_SEED"] ?? 1);

/** Longer than any parse may take on a busy machine, shorter than a hang. */
const HANG_MS = 20_000;

let demo: DemoRelay;
beforeAll(() => {
  demo = startDemoRelay();
});
afterAll(() => demo.stop());

const corpus = loadCases().filter(({ request }) => isObject(request));
const byRoute = Map.groupBy(corpus, ({ route }) => route);

describe.each([...byRoute].map(([route, cases]) => [route, cases] as const))("%s", (path, cases) => {
  test(`spoiled bodies get an answer or a refusal that says what is wrong (seed ${seed})`, async () => {
    const random = randomOf(seed);
    const seen = new Map<number, number>();
    for (let run = 0; run < runs; run += 1) {
      const body = mutated(cases[Math.floor(random() * cases.length)]?.request, random);
      const reply = await fetch(demo.relay.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        signal: AbortSignal.timeout(HANG_MS),
      });
      const text = await reply.text();
      seen.set(reply.status, (seen.get(reply.status) ?? 0) + 1);
      if (reply.status !== 200) expectRefusal(reply.status, text, body);
    }
    // Some of each: spoiled bodies that are still fine, and ones that are not.
    expect(seen.get(200)).toBeGreaterThan(0);
    expect(seen.get(400)).toBeGreaterThan(0);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  }, 600_000);
});

function expectRefusal(status: number, text: string, body: string): void {
  const parsed = parseJson(text);
  const said = isObject(parsed) ? parsed["error"] : undefined;
  // Ollama's refusals are one sentence.
  const error = typeof said === "string" ? { message: said, param: null } : said;
  const shown = `${status} ${text.slice(0, 300)} for ${body.slice(0, 600)}`;
  if (!isObject(error) || status < 400 || status >= 500) throw new Error(`not a refusal: ${shown}`);
  if (typeof error["message"] !== "string" || error["message"] === "") throw new Error(`says nothing: ${shown}`);
  const { param } = error;
  if (param !== undefined && param !== null && typeof param !== "string") throw new Error(`odd param: ${shown}`);
}
