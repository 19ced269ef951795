import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Upload } from "../../src/codex/wire/endpoint-call.ts";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { loadCases } from "../support/cases.ts";
import { loadExchangeCases, type ExchangeCase } from "../support/exchanges.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { report } from "./report.ts";
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

const exchanges = loadExchangeCases();
const isForm = ({ protocol, request }: ExchangeCase) =>
  protocol.takesForms === "always" || JSON.stringify(request) !== JSON.stringify(plain(request));
const cases = loadCases().filter(({ request }) => isObject(request));
const corpus: { readonly route: string; readonly request: unknown }[] = [
  ...cases,
  ...cases.flatMap(({ protocol, request }) =>
    protocol.name === "responses" ? [{ route: "/v1/responses/input_tokens", request }] : [],
  ),
  ...exchanges.filter((one) => !isForm(one)),
];
const byRoute = Map.groupBy(corpus, ({ route }) => route);
const formsByRoute = Map.groupBy(exchanges.filter(isForm), ({ route }) => route);
// What may be asked may be counted.
byRoute.set("/v1/messages/count_tokens", byRoute.get("/v1/messages") ?? []);

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
    report("input", `${path}: spoiled bodies`, runs, `seed ${seed}, ${answersOf(seen)}`);
  }, 600_000);
});

describe.each([...formsByRoute].map(([route, cases]) => [route, cases] as const))("%s as a form", (path, cases) => {
  test(`spoiled forms get an answer or a refusal that says what is wrong (seed ${seed})`, async () => {
    const random = randomOf(seed);
    const seen = new Map<number, number>();
    for (let run = 0; run < runs; run += 1) {
      const { bytes, type } = await spoiledForm(cases[Math.floor(random() * cases.length)]?.request, random);
      const reply = await fetch(demo.relay.url + path, {
        method: "POST",
        headers: { "content-type": type },
        body: bytes,
        signal: AbortSignal.timeout(HANG_MS),
      });
      const text = await reply.text();
      seen.set(reply.status, (seen.get(reply.status) ?? 0) + 1);
      if (reply.status !== 200) expectRefusal(reply.status, text, new TextDecoder().decode(bytes));
    }
    expect(seen.get(200)).toBeGreaterThan(0);
    expect(seen.get(400)).toBeGreaterThan(0);
    report("input", `${path}: spoiled forms`, runs, `seed ${seed}, ${answersOf(seen)}`);
  }, 600_000);
});

function answersOf(seen: ReadonlyMap<number, number>): string {
  const answers = [...seen].toSorted(([a], [b]) => a - b);
  return answers.map(([status, count]) => `${count} × ${status}`).join(", ");
}

/** A form of the request's fields, with one of them spoiled, or with its own bytes spoiled. */
async function spoiledForm(
  request: unknown,
  random: () => number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; type: string }> {
  const pick = <Value>(list: readonly Value[]): Value => list[Math.floor(random() * list.length)] as Value;
  const form = new FormData();
  const fields = Object.entries(isObject(request) ? request : {});
  const spoilt = Math.floor(random() * (fields.length + 2));
  for (const [index, [name, value]] of fields.entries()) {
    const entries = Array.isArray(value) ? (value as unknown[]) : [value];
    for (const entry of entries) {
      if (index === spoilt) pick(SPOILERS)(form, name, entry);
      else append(form, Array.isArray(value) ? `${name}[]` : name, entry);
    }
  }
  const packed = new Response(form);
  const type = packed.headers.get("content-type") ?? "";
  const bytes = new Uint8Array(await packed.arrayBuffer());
  if (spoilt !== fields.length) return { bytes, type };
  return pick([
    { bytes: bytes.slice(0, Math.floor(random() * bytes.length)), type },
    { bytes: bytes.map((byte) => (random() < 0.02 ? Math.floor(random() * 256) : byte)), type },
    { bytes, type: "multipart/form-data" },
    { bytes, type: "multipart/form-data; boundary=other" },
    { bytes, type: "application/json" },
    { bytes, type: "text/plain" },
  ]);
}

const SPOILERS: readonly ((form: FormData, name: string, entry: unknown) => void)[] = [
  () => {},
  (form, name) => form.append(name, ""),
  (form, name) => form.append(name, "x".repeat(70_000)),
  (form, name) => form.append(name, "null"),
  (form, name) => form.append(name, "-1"),
  (form, name) => form.append(name, '{"a":[{}]}'),
  (form, name) => form.append(name, new Blob([]), "empty.png"),
  (form, name) => form.append(name, new Blob(["\u0000\u0001"], { type: "a/b" }), "../../etc/passwd"),
  (form, name, entry) => append(form, `${name}[][x]`, entry),
  (form, name, entry) => [1, 2].forEach(() => append(form, name, entry)),
  (form, name, entry) => Array.from({ length: 300 }, () => append(form, name, entry)),
  (form, _name, entry) => append(form, "__proto__", entry),
];

function append(form: FormData, name: string, entry: unknown): void {
  if (entry instanceof Upload) form.append(name, new Blob([entry.bytes], { type: entry.type }), entry.name);
  else form.append(name, typeof entry === "string" ? entry : JSON.stringify(entry));
}

/** The request without its files. */
function plain(value: unknown): unknown {
  if (value instanceof Upload) return null;
  if (Array.isArray(value)) return value.map(plain);
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)])) : value;
}

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
