import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openToRead } from "../../src/ledger/file.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { totals } from "../../src/ledger/queries.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";
import { fixedCredentials, post, startTestRelay } from "../support/relay.ts";
import { randomOf } from "./mutate.ts";
import { report } from "./report.ts";

/** `LEDGER_REQUESTS=10000 bun test hostile/ledger` asks more, LEDGER_SEED other things. */
const REQUESTS = Number(process.env["LEDGER_REQUESTS"] ?? 1500);
const seed = Number(process.env["LEDGER_SEED"] ?? 1);
const EVER = { sinceMs: 0, untilMs: 1e15 };
const SLOW_MS = 300_000;
const AT_ONCE = 16;

let folder: string;
let backend: StandIn;
let random: () => number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-ledger-"));
  random = randomOf(seed);
});
afterEach(async () => {
  await backend.stop();
  rmSync(folder, { recursive: true, force: true });
});

const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value;

const FAULTS = [
  "usage_limit",
  "rate_limit",
  "server_error",
  "cut",
  "truncated",
  "context_length",
  "incomplete_length",
  "refusal",
];

/** A question in any dialect, streamed or whole, some of which fail. */
function question(index: number, faultShare: number): { path: string; body: object } {
  const isFault = random() < faultShare;
  const text = isFault ? `fault:${pick(FAULTS)}` : `question ${index} ${"word ".repeat(Math.floor(random() * 60))}`;
  const model = pick(["gpt-5.5", "gpt-6-luna", "gpt-6.2-sol"]);
  const stream = random() < 0.5;
  const messages = [{ role: "user", content: text }];
  return pick([
    { path: "/v1/chat/completions", body: { model, messages, stream } },
    { path: "/v1/responses", body: { model, input: text, stream } },
    { path: "/v1/messages", body: { model, max_tokens: 4000, messages, stream } },
    { path: "/api/chat", body: { model, messages, stream } },
  ]);
}

/** Tokens of all rows together. */
async function counted(path: string) {
  const database = await openToRead(path);
  const rows = database ? totals(database, "model", EVER, { withModels: true }) : [];
  database?.close();
  const sum = (name: "requests" | "input" | "cached" | "output" | "reasoning") =>
    rows.reduce((all, row) => all + row[name], 0);
  return {
    requests: sum("requests"),
    input: sum("input"),
    cached: sum("cached"),
    output: sum("output"),
    reasoning: sum("reasoning"),
  };
}

test(
  `the ledger has the tokens that the backend counted, over ${REQUESTS} mixed requests with faults and clients that leave (seed ${seed})`,
  async () => {
    backend = startStandIn();
    const { accessToken, accountId } = backend.issueLogin({});
    const path = join(folder, "ledger.db");
    const ledger = new Ledger({ path, days: 400, log: SILENT_LOG });
    const relay = startTestRelay({
      baseUrl: backend.baseUrl,
      credentials: fixedCredentials({ accessToken, accountId }),
      ledger,
    });
    let asked = 0;
    let left = 0;
    const client = async () => {
      while (asked < REQUESTS) {
        asked += 1;
        const { path: route, body } = question(asked, 0.15);
        const isLeaving = random() < 0.05;
        if (!isLeaving) {
          await (await post(relay.url + route, body)).text().catch(() => "");
          continue;
        }
        left += 1;
        // A backend that says nothing: whoever leaves has cost nothing that anybody counted.
        const silent = { model: "gpt-5.5", messages: [{ role: "user", content: "fault:stall" }] };
        const controller = new AbortController();
        const reply = post(`${relay.url}/v1/chat/completions`, silent, {}, controller.signal).catch(() => undefined);
        await Bun.sleep(5);
        controller.abort();
        await reply;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    await relay.stop();
    const { answers: _answers, ...tokens } = backend.counts.tokens;
    expect(await counted(path)).toMatchObject(tokens);
    expect(tokens.output).toBeGreaterThan(REQUESTS);
    report("ledger", `tokens equal the backend's, ${left} clients left`, REQUESTS, JSON.stringify(tokens));
  },
  SLOW_MS,
);

test(
  `a relay that is killed loses at most the last two seconds (seed ${seed})`,
  async () => {
    backend = startStandIn();
    const login = backend.issueLogin({});
    const home = new CommandHome();
    mkdirSync(join(home.path, ".codex"), { recursive: true });
    writeFileSync(join(home.path, ".codex/auth.json"), JSON.stringify(login.authJson), { mode: 0o600 });
    const state = join(home.path, ".local/state/plansocket/ledger.db");
    const kills = 3;
    try {
      for (let round = 0; round < kills; round += 1) {
        const relay = home.start(["serve", "--port", "0", "--base-url", backend.baseUrl]);
        const [, port = ""] = await relay.says(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
        const url = `http://127.0.0.1:${port}`;
        /** What the backend had counted, by when. */
        const history: { atMs: number; output: number; input: number }[] = [];
        const endAt = performance.now() + 2200 + random() * 1000;
        while (performance.now() < endAt) {
          const { path, body } = question(round, 0);
          await (await post(url + path, body)).text().catch(() => "");
          const { output, input } = backend.counts.tokens;
          history.push({ atMs: performance.now(), output, input });
        }
        relay.kill("SIGKILL");
        const killedAt = performance.now();
        await relay.ended;
        const { output, input } = await counted(state);
        const before = history.findLast(({ atMs }) => atMs < killedAt - 2000);
        const after = backend.counts.tokens;
        expect(output).toBeGreaterThanOrEqual(before?.output ?? 0);
        expect(input).toBeGreaterThanOrEqual(before?.input ?? 0);
        expect(output).toBeLessThanOrEqual(after.output);
        // What this life lost is lost: the next one is measured from here.
        const lost = after.output - output;
        report("ledger", "kill -9 while it counts", history.length, `${lost} of ${after.output} output tokens lost`);
        backend.countFrom({ output, input });
      }
    } finally {
      home.remove();
    }
  },
  SLOW_MS,
);
