/**
 * `bun run bench`: the executable beside a raw pass-through, both against the stand-in backend in its own process, in
 * one run and in turns. Ratios and CPU time count; wall times on a shared machine are noise. `--json` for machines.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROUNDS = 5;
const MODEL = "gpt-5.5";
const root = join(import.meta.dir, "../..");
const binary = process.env["CODEX_RELAY_BINARY"] ?? join(root, "dist/codex-relay");

interface Program {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly startMs: number;
  stop(): void;
}

if (!existsSync(binary)) {
  const build = Bun.spawnSync([process.execPath, "build.ts"], { cwd: root, stdout: "ignore", stderr: "inherit" });
  if (build.exitCode !== 0) process.exit(1);
}
const home = mkdtempSync(join(tmpdir(), "codex-relay-bench-"));
const backend = Bun.spawn([process.execPath, join(import.meta.dir, "backend.ts")], {
  stdout: "pipe",
  stderr: "inherit",
});
const login = await firstLine<{ baseUrl: string; accessToken: string; accountId: string }>(backend.stdout);

try {
  const starts = await startTimes();
  const relay = await startRelay();
  const raw = await startPassThrough();
  try {
    const results = {
      start: starts,
      idle: { relay: memoryMb(relay.pid), raw: memoryMb(raw.pid) },
      firstToken: await firstToken(relay, raw),
      wholeReplies: await wholeReplies(relay, raw),
      longStreams: await longStreams(relay, raw),
    };
    report(results);
  } finally {
    relay.stop();
    raw.stop();
  }
} finally {
  backend.kill();
  rmSync(home, { recursive: true, force: true });
}

/** From spawning a process to its first good answer. */
async function startTimes() {
  const relay: number[] = [];
  const raw: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [list, start] of [
      [relay, startRelay],
      [raw, startPassThrough],
    ] as const) {
      const program = await start();
      list.push(program.startMs);
      program.stop();
    }
  }
  return { relayMs: median(relay), rawMs: median(raw) };
}

async function startRelay(): Promise<Program> {
  const port = freePort();
  const begun = performance.now();
  const child = Bun.spawn([binary, "serve", "--port", String(port), "--log-level", "error"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      CODEX_HOME: join(home, "none"),
      CODEX_RELAY_BASE_URL: login.baseUrl,
      OPENAI_ACCESS_TOKEN: login.accessToken,
      OPENAI_CHATGPT_ACCOUNT_ID: login.accountId,
    },
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    name: "relay",
    url,
    pid: child.pid,
    startMs: await answering(`${url}/health`, begun),
    stop: () => child.kill(),
  };
}

async function startPassThrough(): Promise<Program> {
  const begun = performance.now();
  const script = join(import.meta.dir, "pass-through.ts");
  const child = Bun.spawn([process.execPath, script, login.baseUrl, login.accessToken, login.accountId], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { port } = await firstLine<{ port: number }>(child.stdout);
  const url = `http://127.0.0.1:${port}`;
  return { name: "raw", url, pid: child.pid, startMs: await answering(url, begun), stop: () => child.kill() };
}

async function answering(url: string, begun: number): Promise<number> {
  while (performance.now() - begun < 10_000) {
    const isUp = await fetch(url).then(
      (response) => response.text().then(() => response.ok),
      () => false,
    );
    if (isUp) return performance.now() - begun;
    await Bun.sleep(1);
  }
  throw new Error(`${url} did not answer within 10 s`);
}

function responsesBody(prompt: string) {
  return {
    model: MODEL,
    instructions: "",
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text: prompt }] }],
    include: ["reasoning.encrypted_content"],
    store: false,
    stream: true,
  };
}

function chatBody(prompt: string, stream: boolean) {
  return {
    model: MODEL,
    stream,
    messages: [{ role: "user", content: prompt }],
  };
}

function post(url: string, body: object): Promise<Response> {
  return fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

/** Time to the first frame with content, sequentially and in turns. */
async function firstToken(relay: Program, raw: Program) {
  const times = { relay: [] as number[], raw: [] as number[] };
  for (let request = 0; request < 300; request += 1) {
    times.raw.push(await timeToDelta(`${raw.url}/responses`, responsesBody("deltas:3")));
    times.relay.push(await timeToDelta(`${relay.url}/v1/chat/completions`, chatBody("deltas:3", true)));
  }
  const warm = (list: number[]) => list.slice(50);
  return {
    relayP50Ms: median(warm(times.relay)),
    relayP99Ms: quantile(warm(times.relay), 0.99),
    rawP50Ms: median(warm(times.raw)),
    rawP99Ms: quantile(warm(times.raw), 0.99),
  };
}

async function timeToDelta(url: string, body: object): Promise<number> {
  const begun = performance.now();
  const response = await post(url, body);
  let firstMs: number | undefined;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (firstMs === undefined && /"delta"/.test(text)) firstMs = performance.now() - begun;
  }
  if (firstMs === undefined) throw new Error(`no delta from ${url}: ${text.slice(0, 300)}`);
  return firstMs;
}

/** Requests a second and CPU a request with 16 clients; the pass-through streams, having no other form. */
async function wholeReplies(relay: Program, raw: Program) {
  const run = async (program: Program, path: string, body: object) => {
    const before = cpuMs(program.pid);
    const begun = performance.now();
    let left = 2000;
    const client = async () => {
      while (left > 0) {
        left -= 1;
        const response = await post(program.url + path, body);
        await response.text();
        if (!response.ok) throw new Error(`${program.name} answered ${response.status}`);
      }
    };
    await Promise.all(Array.from({ length: 16 }, client));
    return { perSecond: 2000 / ((performance.now() - begun) / 1000), cpuMs: (cpuMs(program.pid) - before) / 2000 };
  };
  const rounds = { relay: [] as number[], raw: [] as number[], relayCpu: [] as number[], rawCpu: [] as number[] };
  for (let round = 0; round < 3; round += 1) {
    const direct = await run(raw, "/responses", responsesBody("deltas:3"));
    const through = await run(relay, "/v1/chat/completions", chatBody("deltas:3", false));
    rounds.raw.push(direct.perSecond);
    rounds.rawCpu.push(direct.cpuMs);
    rounds.relay.push(through.perSecond);
    rounds.relayCpu.push(through.cpuMs);
  }
  return {
    relayPerSecond: median(rounds.relay),
    rawPerSecond: median(rounds.raw),
    relayCpuMs: median(rounds.relayCpu),
    rawCpuMs: median(rounds.rawCpu),
  };
}

/** CPU an event and events a second of one stream of 20,000 deltas. */
async function longStreams(relay: Program, raw: Program) {
  const DELTAS = 20_000;
  const run = async (program: Program, path: string, body: object) => {
    const before = cpuMs(program.pid);
    const begun = performance.now();
    const response = await post(program.url + path, body);
    let bytes = 0;
    for await (const chunk of response.body ?? []) bytes += chunk.length;
    if (bytes < DELTAS * 20) throw new Error(`${program.name} sent only ${bytes} bytes`);
    const wallMs = performance.now() - begun;
    return { cpuUs: ((cpuMs(program.pid) - before) * 1000) / DELTAS, perSecond: DELTAS / (wallMs / 1000) };
  };
  const kinds = {
    raw: () => run(raw, "/responses", responsesBody(`deltas:${DELTAS}`)),
    chat: () => run(relay, "/v1/chat/completions", chatBody(`deltas:${DELTAS}`, true)),
    responses: () => run(relay, "/v1/responses", { model: MODEL, stream: true, input: `deltas:${DELTAS}` }),
  };
  const results: Record<string, { cpuUs: number; perSecond: number }> = {};
  const rounds: Record<string, { cpuUs: number[]; perSecond: number[] }> = {};
  for (let round = 0; round < ROUNDS + 2; round += 1) {
    for (const [kind, start] of Object.entries(kinds)) {
      const { cpuUs, perSecond } = await start();
      // The first two rounds warm the compiler up.
      if (round < 2) continue;
      const list = (rounds[kind] ??= { cpuUs: [], perSecond: [] });
      list.cpuUs.push(cpuUs);
      list.perSecond.push(perSecond);
    }
  }
  for (const [kind, list] of Object.entries(rounds)) {
    results[kind] = { cpuUs: median(list.cpuUs), perSecond: median(list.perSecond) };
  }
  return results;
}

function report(results: {
  start: { relayMs: number; rawMs: number };
  idle: { relay: { rss: number; private: number }; raw: { rss: number; private: number } };
  firstToken: Record<string, number>;
  wholeReplies: Record<string, number>;
  longStreams: Record<string, { cpuUs: number; perSecond: number }>;
}) {
  if (process.argv.includes("--json")) {
    process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
    return;
  }
  const { start, idle, firstToken: first, wholeReplies: whole, longStreams: long } = results;
  const rows: [string, string, string][] = [
    ["start to /health, ms", start.relayMs.toFixed(0), start.rawMs.toFixed(0)],
    ["idle RSS, MB", idle.relay.rss.toFixed(0), idle.raw.rss.toFixed(0)],
    ["idle private memory, MB", idle.relay.private.toFixed(0), idle.raw.private.toFixed(0)],
    ["first token p50, ms", (first["relayP50Ms"] ?? 0).toFixed(2), (first["rawP50Ms"] ?? 0).toFixed(2)],
    ["first token p99, ms", (first["relayP99Ms"] ?? 0).toFixed(2), (first["rawP99Ms"] ?? 0).toFixed(2)],
    ["whole replies/s, 16 clients", (whole["relayPerSecond"] ?? 0).toFixed(0), (whole["rawPerSecond"] ?? 0).toFixed(0)],
    ["CPU a whole reply, ms", (whole["relayCpuMs"] ?? 0).toFixed(3), (whole["rawCpuMs"] ?? 0).toFixed(3)],
    ["chat stream, CPU an event, µs", cell(long["chat"]?.cpuUs), cell(long["raw"]?.cpuUs)],
    ["chat stream, events/s", count(long["chat"]?.perSecond), count(long["raw"]?.perSecond)],
    ["responses stream, CPU an event, µs", cell(long["responses"]?.cpuUs), cell(long["raw"]?.cpuUs)],
    ["responses stream, events/s", count(long["responses"]?.perSecond), count(long["raw"]?.perSecond)],
  ];
  process.stdout.write(`${"".padEnd(36)}${"relay".padStart(12)}${"raw".padStart(12)}\n`);
  for (const [name, ours, theirs] of rows) {
    process.stdout.write(`${name.padEnd(36)}${ours.padStart(12)}${theirs.padStart(12)}\n`);
  }
}

function cell(value: number | undefined): string {
  return (value ?? 0).toFixed(2);
}

function count(value: number | undefined): string {
  return Math.round(value ?? 0).toLocaleString("en");
}

/** User and system time of a process, from the operating system (clock ticks of 10 ms). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memoryMb(pid: number): { rss: number; private: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { rss: kb("VmRSS") / 1024, private: kb("RssAnon") / 1024 };
}

function freePort(): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const port = server.port ?? 0;
  void server.stop(true);
  return port;
}

async function firstLine<T>(stream: ReadableStream<Uint8Array>): Promise<T> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return JSON.parse(text.split("\n")[0] ?? "") as T;
}

function median(list: number[]): number {
  return quantile(list, 0.5);
}

function quantile(list: number[], part: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
