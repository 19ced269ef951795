import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ledger } from "../../src/ledger/ledger.ts";
import { conversations, totals } from "../../src/ledger/queries.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import type { UsageView } from "../../src/page/contract.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { post } from "../support/relay.ts";

const EVER = { sinceMs: 0, untilMs: 1e15 };
let folder: string;
let ledger: Ledger;
let demo: DemoRelay;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-ledger-"));
  ledger = new Ledger({ path: join(folder, "ledger.db"), days: 400, log: SILENT_LOG });
});
afterEach(async () => {
  await demo.stop();
  rmSync(folder, { recursive: true, force: true });
});

const question = (content: string) => [{ role: "user", content }];
const ASKED = [
  ["/v1/chat/completions", { model: "gpt-5.5", messages: question("hello chat") }],
  ["/v1/chat/completions", { model: "gpt-5.5", messages: question("hello stream"), stream: true }],
  ["/v1/responses", { model: "gpt-5.5", input: "hello responses" }],
  ["/v1/responses", { model: "gpt-5.5", input: "hello stream", stream: true }],
  ["/v1/messages", { model: "gpt-5.5", max_tokens: 500, messages: question("hello messages") }],
  ["/api/chat", { model: "gpt-5.5", messages: question("hello ollama") }],
  ["/v1/completions", { model: "gpt-5.5", prompt: "hello completions" }],
  ["/v1/chat/completions", { model: "gpt-5.5", messages: question("fault:usage_limit") }],
  ["/v1/messages", { model: "gpt-5.5", max_tokens: 5, messages: question("fault:failed_server_error"), stream: true }],
] as const;

const all = () => ledger.read((database) => totals(database, "model", EVER, { withModels: true }));

describe("the ledger of a relay", () => {
  test("has every request of every dialect once, with the tokens that the backend counted", async () => {
    demo = startDemoRelay({ ledger });
    for (const [path, body] of ASKED) await (await post(demo.relay.url + path, body)).text();
    // Neither asks a model.
    await fetch(`${demo.v1}/models`);
    await fetch(`${demo.relay.url}/health`);
    const [total, ...others] = (await all()) ?? [];
    expect(others).toEqual([]);
    expect(total).toMatchObject({ name: "gpt-5.5", requests: ASKED.length, errors: 2 });
    const { metrics } = await (
      await fetch(`${demo.relay.url}/metrics`, { headers: { accept: "application/json" } })
    )
      .json()
      .then((json) => ({ metrics: json as { tokens: Record<string, Record<string, number>> } }));
    expect(metrics.tokens["gpt-5.5"]).toMatchObject({ input: total?.input ?? 0, output: total?.output ?? 0 });
    expect(total?.input).toBeGreaterThan(0);
  });

  test("tells conversations apart, and keeps no word of them", async () => {
    demo = startDemoRelay({ ledger });
    const ask = async (messages: object[]) =>
      (await post(`${demo.v1}/chat/completions`, { model: "gpt-5.5", messages })).json() as Promise<{
        choices: { message: object }[];
      }>;
    const first = question("the secret of the first conversation");
    const { choices } = await ask(first);
    await ask([...first, choices[0]?.message ?? {}, ...question("more of it")]);
    await ask(question("another one"));
    const found = await ledger.read((database) => conversations(database, EVER, 10));
    expect(found?.map(({ requests }) => requests).toSorted()).toEqual([1, 2]);
    expect(found?.every(({ id }) => /^[0-9a-f]{16}$/.test(id))).toBe(true);
    await ledger.close();
    const bytes = readFileSync(join(folder, "ledger.db"));
    expect(bytes.includes("secret")).toBe(false);
    expect(bytes.includes("curl") || bytes.includes("Bun")).toBe(true);
  });

  test("marks what the fallback answered, and counts a client that leaves", async () => {
    demo = startDemoRelay(
      { ledger, upstream: { fallback: { kind: "reserve" } } },
      { views: { openModels: ["gpt-reserve"] }, paceMs: 20 },
    );
    const controller = new AbortController();
    const reply = await post(
      `${demo.v1}/chat/completions`,
      { model: "gpt-5.5", stream: true, messages: question("hello") },
      {},
      controller.signal,
    );
    await reply.body?.getReader().read();
    controller.abort();
    for (let round = 0; round < 400 && ((await all()) ?? []).length === 0; round += 1) await Bun.sleep(5);
    const rows = await ledger.read((database) =>
      database
        .query<{ status: number; fallback: string }, []>(
          "SELECT status, n.text AS fallback FROM counts h JOIN names n ON n.id = h.fallback",
        )
        .all(),
    );
    expect(rows).toEqual([{ status: 499, fallback: "reserve" }]);
  });

  test("is what the page draws", async () => {
    demo = startDemoRelay({ ledger });
    await (await post(`${demo.v1}/chat/completions`, ASKED[0][1], { "user-agent": "claude-cli/2.1" })).text();
    const usage = async (query: string) => fetch(`${demo.relay.url}/page/usage?${query}`);
    const byClient = (await (await usage("by=client&days=1")).json()) as UsageView;
    expect(byClient).toMatchObject({ unit: "hour", hasPrices: false, totals: [{ name: "claude-cli", requests: 1 }] });
    // Hours in which nothing was asked are there as well.
    expect(byClient.buckets.length).toBeGreaterThanOrEqual(24);
    expect(byClient.buckets.at(-1)?.groups[0]?.input).toBeGreaterThan(0);
    const byKey = (await (await usage("by=key&days=30")).json()) as UsageView;
    expect([byKey.totals[0]?.name, byKey.buckets.length]).toEqual(["no key", 30]);
    for (const bad of ["by=prompt&days=1", "by=model&days=0", "by=model&days=x", "by=model&days=9999"]) {
      expect((await usage(bad)).status).toBe(400);
    }
  });

  test("off leaves nothing behind, and the page says nothing of it", async () => {
    demo = startDemoRelay();
    await (await post(`${demo.v1}/chat/completions`, ASKED[0][1])).text();
    expect((await fetch(`${demo.relay.url}/page/usage`)).status).toBe(404);
    const state = (await (await fetch(`${demo.relay.url}/page/state`)).json()) as { hasLedger: boolean };
    expect(state.hasLedger).toBe(false);
  });
});
