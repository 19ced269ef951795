/**
 * `bun test/e2e/clients.ts [--install] [name …]`: real command-line clients do a small tool task through the relay
 * against the stand-in backend, judged by the file that their own tool wrote. Each is pointed at the relay in all ways
 * that the relay offers: by `setup`, in an empty home; by `run`; and by `run --demo` with the model that it gets there
 * without a word. Clients that are not on the PATH are skipped; `--install` puts the newest of each into a cache first.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { Log, LogFields } from "../../src/lib/log.ts";
import { startDemoRelay } from "../support/demo.ts";
import { sharedPrefixes } from "../support/prefix.ts";

/** Enough for a client's cold start on a busy machine. */
const LIMIT_MS = 120_000;
const PROMPT = "Write the text HELLO-RELAY to the file out.txt, then read it back.";
/** The relay asks for it, so a client that was not told it gets nowhere. */
const KEY = "key-of-this-run";
const MAIN = join(import.meta.dir, "../../src/main.ts");

type Way = "setup" | "setup --as-builtin" | "run" | "run --demo";

interface Task {
  readonly way: Way;
  /** "" leaves it to the relay or the client. */
  readonly model: string;
  /** Names the run. */
  readonly title: string;
}

interface Client {
  /** As `setup` calls it. */
  readonly name: string;
  readonly command: string;
  /** On npm; undefined where it comes from elsewhere. */
  readonly package?: string;
  readonly args: (task: Task) => readonly string[];
  /** Keeps the client from calling anything but the relay. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files that let it use its tools without asking. */
  readonly files?: Readonly<Record<string, string>>;
  /** Both, unless it has only a file of its own. */
  readonly ways?: readonly Way[];
  /** Its sockets have the backend's behind them; otherwise the backend is asked over HTTP. */
  readonly isPaired?: boolean;
  /** What sets it apart from another of its name. */
  readonly remark?: string;
  /** It edits by text, not by tools, and the stand-in writes no code: its answer has to do. */
  readonly hasNoTools?: boolean;
}

const UNASKED = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];

const codexArgs = ({ way, model }: Task, settings: readonly string[]) => [
  "exec",
  ...UNASKED,
  ...["features.plugins", "features.apps", "analytics.enabled", ...settings].flatMap((name) => ["-c", `${name}=false`]),
  ...(way.startsWith("setup") ? ["--profile", "plansocket"] : model === "" ? [] : ["-m", model]),
  PROMPT,
];

const CLIENTS: readonly Client[] = [
  // By `run` it speaks HTTP, after `setup` over a WebSocket unless told otherwise.
  { name: "codex", command: "codex", package: "@openai/codex", args: (task) => codexArgs(task, []) },
  {
    name: "codex",
    command: "codex",
    args: (task) => codexArgs(task, ["model_providers.plansocket.supports_websockets"]),
    ways: ["setup"],
    remark: ", over HTTP",
  },
  {
    name: "codex",
    command: "codex",
    args: (task) => codexArgs(task, []),
    ways: ["setup"],
    isPaired: true,
    remark: ", over a WebSocket to the backend",
  },
  {
    name: "codex",
    command: "codex",
    // Setup has switched off what the others are told here.
    args: () => ["exec", ...UNASKED, "--profile", "plansocket", PROMPT],
    ways: ["setup --as-builtin"],
  },
  {
    name: "opencode",
    command: "opencode",
    package: "opencode-ai",
    args: ({ model }) => ["run", ...(model === "" ? [] : ["--model", `plansocket/${model}`]), PROMPT],
    env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
    files: { "opencode.json": JSON.stringify({ permission: { edit: "allow", bash: "allow" } }) },
  },
  {
    // Its package is not always whole: `--install` would fail with it.
    name: "kilo",
    command: "kilo",
    args: ({ model }) => ["run", ...(model === "" ? [] : ["--model", `plansocket/${model}`]), PROMPT],
    env: { KILO_DISABLE_AUTOUPDATE: "1", KILO_DISABLE_MODELS_FETCH: "1", KILO_DISABLE_LSP_DOWNLOAD: "1" },
    files: { "kilo.json": JSON.stringify({ permission: { edit: "allow", bash: "allow" } }) },
    ways: ["setup"],
  },
  {
    name: "hermes",
    command: "hermes",
    args: () => ["chat", "--yolo", "-q", PROMPT],
    ways: ["setup"],
  },
  {
    name: "pi",
    command: "pi",
    package: "@earendil-works/pi-coding-agent",
    args: () => ["--no-session", "-p", PROMPT],
    env: { PI_OFFLINE: "1", PI_TELEMETRY: "0" },
  },
  {
    name: "claude-code",
    command: "claude",
    package: "@anthropic-ai/claude-code",
    args: () => ["-p", PROMPT, "--output-format", "text", "--dangerously-skip-permissions"],
    // As root it runs tools unasked only where it believes to be fenced in.
    env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", IS_SANDBOX: "1" },
  },
  { name: "qwen-code", command: "qwen", package: "@qwen-code/qwen-code", args: () => ["--yolo", "-p", PROMPT] },
  {
    name: "cline",
    command: "cline",
    package: "cline",
    args: () => ["--json", "--auto-approve", "true", PROMPT],
  },
  {
    name: "copilot",
    command: "copilot",
    package: "@github/copilot",
    args: () => ["--allow-all-tools", "--no-auto-update", "-p", PROMPT],
    // It has no file for this: a provider of one's own is named by variables alone.
    ways: ["run", "run --demo"],
  },
  {
    name: "continue",
    command: "cn",
    package: "@continuedev/cli",
    args: () => ["--config", "../.continue/config.yaml", "--auto", "-p", PROMPT],
    env: { CONTINUE_TELEMETRY_ENABLED: "0" },
    ways: ["setup"],
  },
  {
    name: "aider",
    command: "aider",
    args: () => ["--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--message", "Say hello."],
    hasNoTools: true,
  },
];

const MODELS = ["gpt-5.5", "gpt-6.1-sol"];
const WAYS: readonly Way[] = ["setup", "run", "run --demo"];

const wanted = process.argv.slice(2).filter((word) => word !== "--install");
if (process.argv.includes("--install")) process.env["PATH"] = `${installed()}:${process.env["PATH"] ?? ""}`;
/** Of each run, the conversations that it had with the backend, in requests as the backend read them. */
const conversations: { readonly title: string; readonly bodies: readonly unknown[] }[] = [];
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const client of CLIENTS) {
  if (wanted.length > 0 && !wanted.includes(client.name)) continue;
  // Bun looks on the PATH of the process's start unless another is named.
  const path = Bun.which(client.command, { PATH: process.env["PATH"] ?? "" });
  for (const way of client.ways ?? WAYS) {
    for (const model of way === "run --demo" ? [""] : MODELS) {
      const title = `${client.name} by ${way}${model === "" ? "" : ` with ${model}`}${client.remark ?? ""}`;
      if (path === null) {
        totals.skipped += 1;
        console.log(`skip  ${title}: not installed`);
        continue;
      }
      const problem = await tried(client, path, { way, model, title });
      totals[problem === undefined ? "passed" : "failed"] += 1;
      console.log(problem === undefined ? `ok    ${title}` : `FAIL  ${title}: ${problem}`);
    }
  }
}
printPrefixes();
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 ? 1 : 0);

/**
 * How much of each request the backend had read with the one before. Small jobs of a client's own, as titles, are
 * conversations of their own; of each run the longest one is told.
 */
function printPrefixes(): void {
  if (conversations.length === 0) return;
  console.log("\nPrompt kept from turn to turn, in bytes and in percent of the shorter one:");
  for (const { title, bodies } of conversations) {
    const turns = sharedPrefixes(bodies).map(({ bytes, percent }) => `${bytes} (${percent.toFixed(1)} %)`);
    console.log(`  ${title.padEnd(48)} ${turns.join(", ")}`);
  }
  console.log("");
}

function noteConversation(title: string, backend: StandIn): void {
  const byId = Map.groupBy(
    backend.requests.filter((request) => request.path.endsWith("/responses") && isObject(request.body)),
    ({ body }) => (isObject(body) ? body["prompt_cache_key"] : undefined),
  );
  const [longest] = [...byId.values()].toSorted((a, b) => b.length - a.length);
  if (longest && longest.length > 1) conversations.push({ title, bodies: longest.map(({ body }) => body) });
}

/** What went wrong, or undefined. */
async function tried(client: Client, path: string, task: Task): Promise<string | undefined> {
  // The path as processes see it, on which the end of those that stay behind depends.
  const home = realpathSync(mkdtempSync(join(tmpdir(), "plansocket-client-")));
  const work = join(home, "work");
  mkdirSync(work);
  for (const [name, text] of Object.entries(client.files ?? {})) writeFileSync(join(work, name), text);
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, TERM: "xterm", ...client.env };
  try {
    if (task.way === "run --demo") return await byDemo(client, task, env);
    if (task.way === "setup --as-builtin") return await asBuiltin(client, path, task, env);
    return task.way === "setup" ? await bySetup(client, path, task, env) : await byRun(client, task, env);
  } finally {
    endStragglers(home);
    rmSync(home, { recursive: true, force: true });
  }
}

async function bySetup(client: Client, path: string, task: Task, env: Record<string, string>) {
  const transport = client.isPaired === true ? "websocket" : "http";
  const demo = startDemoRelay({ relay: { apiKey: KEY }, upstream: { transport } });
  try {
    const port = String(demo.relay.port);
    const setup = ["setup", client.name, "--yes", "--model", task.model, "--port", port];
    const done = await finished([process.execPath, MAIN, ...setup], env, {
      ...loginOf(demo.backend),
      PLANSOCKET_API_KEY: KEY,
    });
    if (done.code !== 0) return `setup: ${done.said}`;
    const problem = judge(client, demo.backend, await finished([path, ...client.args(task)], env), env);
    noteConversation(task.title, demo.backend);
    return problem ?? (client.isPaired === true ? problemOfFrames(demo.backend) : undefined);
  } finally {
    await demo.stop();
  }
}

/** The backend has to see every turn go on from the one before, the first from what was sent ahead. */
function problemOfFrames(backend: StandIn): string | undefined {
  const turns = backend.requests.filter((request) => request.path.endsWith("/responses"));
  const previous = turns.map(({ frame }) => (isObject(frame) ? frame["previous_response_id"] : "no frame"));
  const isChain = previous.every((id) => typeof id === "string" && id.startsWith("resp_"));
  return isChain ? undefined : `turns go on from ${JSON.stringify(previous)}`;
}

/**
 * As the built-in provider, with a login of the CLI's own, for another account: it searches on its way, then asks what
 * `/status` shows. Nothing that it asks may be left without an answer.
 */
async function asBuiltin(client: Client, path: string, task: Task, env: Record<string, string>) {
  const refused: string[] = [];
  const demo = startDemoRelay({ log: refusalsInto(refused) });
  try {
    demo.backend.script({ kind: "answer" }, { kind: "answer", rewrite: searching });
    const port = String(demo.relay.port);
    const setup = ["setup", client.name, "--as-builtin", "--yes", "--model", task.model, "--port", port];
    const done = await finished([process.execPath, MAIN, ...setup], env, loginOf(demo.backend));
    if (done.code !== 0) return `setup: ${done.said}`;
    const own = demo.backend.issueLogin({ accountId: "99999999-2222-4333-8444-555555555555" });
    writeFileSync(join(env["HOME"] ?? "", ".codex/auth.json"), JSON.stringify(own.authJson));
    const problem = judge(client, demo.backend, await finished([path, ...client.args(task)], env), env);
    if (problem !== undefined) return problem;
    const status = await limitsOf(path, env);
    if (!status.includes('"usedPercent"')) return `no limits: ${status}`;
    const asked = new Set(demo.backend.requests.map((request) => request.path.replace(/\?.*/, "")));
    console.log(`      asked: ${[...asked].map((route) => route.replace("/backend-api", "")).join(", ")}`);
    // Lite models alone search and draw by endpoints of their own.
    const wanted = [
      "/backend-api/wham/usage",
      ...(task.model === "gpt-5.5" ? [] : ["/backend-api/codex/alpha/search"]),
    ];
    const missing = wanted.filter((route) => !asked.has(route));
    if (missing.length > 0) return `never asked ${missing.join(", ")}`;
    return refused.length > 0 ? `left without an answer: ${refused.join(", ")}` : undefined;
  } finally {
    await demo.stop();
  }
}

/** A log that keeps what was refused. */
function refusalsInto(refused: string[]): Log {
  const note = (_message: string, fields: LogFields = {}) => {
    if (Number(fields["status"]) >= 400) refused.push(`${String(fields["route"])} (${String(fields["status"])})`);
  };
  return { debug: note, info: note, warn: note, error: note };
}

/** The answer with its call of the code tool changed into a search. */
function* searching(events: Iterable<JsonObject>): Generator<JsonObject> {
  const input =
    'text(await tools.web__run({ search_query: [{ q: "bun" }] }));' +
    'await tools.image_gen__imagegen({ prompt: "a red dot" });';
  for (const event of events) {
    const { item } = event;
    const isOfCode = isObject(item) && item["type"] === "custom_tool_call" && item["name"] === "exec";
    if (String(event["type"]).startsWith("response.custom_tool_call_input")) continue;
    yield isOfCode && event["type"] === "response.output_item.done" ? { ...event, item: { ...item, input } } : event;
  }
}

/** What the CLI's own server tells its windows of the plan's limits. */
async function limitsOf(path: string, env: Record<string, string>): Promise<string> {
  // It takes no profile.
  const profile = readFileSync(join(env["HOME"] ?? "", ".codex/plansocket.config.toml"), "utf8");
  const settings = Object.entries(Bun.TOML.parse(profile)).filter(([, value]) => typeof value === "string");
  const flags = settings.flatMap(([name, value]) => ["-c", `${name}=${JSON.stringify(value)}`]);
  const child = Bun.spawn([path, "app-server", ...flags, "-c", "features.plugins=false"], {
    cwd: join(env["HOME"] ?? "", "work"),
    env,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const timer = setTimeout(() => child.kill(), LIMIT_MS);
  const messages = [
    { id: 1, method: "initialize", params: { clientInfo: { name: "test", title: "test", version: "1" } } },
    { method: "initialized" },
    { id: 2, method: "account/rateLimits/read" },
  ];
  await child.stdin.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  await child.stdin.flush();
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (/^\{.*"id":2[,}]/m.test(text)) break;
  }
  clearTimeout(timer);
  child.kill();
  return text;
}

async function byRun(client: Client, task: Task, env: Record<string, string>) {
  const backend = startStandIn();
  try {
    const line = [process.execPath, MAIN, "run", "--model", task.model, "--", client.command, ...client.args(task)];
    return judge(client, backend, await finished(line, env, loginOf(backend)), env);
  } finally {
    await backend.stop();
  }
}

/** The relay's own player in the place of a backend, as somebody without a login meets it first. */
async function byDemo(client: Client, task: Task, env: Record<string, string>) {
  const line = [process.execPath, MAIN, "run", "--demo", "--", client.command, ...client.args(task)];
  const { code, said } = await finished(line, env);
  if (client.hasNoTools) return code === 0 ? undefined : said;
  return problemOfFile(env, said);
}

/** The newest of every client that npm has, in a cache that stays; returns the folder of their commands. */
function installed(): string {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "plansocket/clients");
  mkdirSync(cache, { recursive: true });
  // Some want a newer Node.js than the machine may have.
  const packages = [...CLIENTS.flatMap((client) => client.package ?? []), "node"].map((name) => `${name}@latest`);
  const line = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", cache];
  const { exitCode } = Bun.spawnSync([...line, ...new Set(packages)], { stdout: "inherit", stderr: "inherit" });
  if (exitCode !== 0) process.exit(exitCode);
  return join(cache, "node_modules/.bin");
}

/** Settings by which the relay's commands use the stand-in with a login of its own. */
function loginOf(backend: StandIn): Record<string, string> {
  const { accessToken, accountId } = backend.issueLogin();
  return {
    PLANSOCKET_BASE_URL: backend.baseUrl,
    CODEX_REFRESH_TOKEN_URL_OVERRIDE: backend.tokenUrl,
    OPENAI_ACCESS_TOKEN: accessToken,
    OPENAI_CHATGPT_ACCOUNT_ID: accountId,
  };
}

interface Finished {
  readonly code: number;
  readonly said: string;
}

async function finished(
  command: string[],
  env: Record<string, string>,
  more: Record<string, string> = {},
): Promise<Finished> {
  const cwd = join(env["HOME"] ?? "", "work");
  const options = { cwd, env: { ...env, ...more }, stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  let child;
  try {
    child = Bun.spawn(command, options);
  } catch (error) {
    // A package whose install script was blocked leaves a file that is no program.
    return { code: 126, said: `cannot be started: ${String(error)}` };
  }
  const timer = setTimeout(() => child.kill(), LIMIT_MS);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  return { code, said: `exit ${code}: ${`${stdout}\n${stderr}`.slice(-1500)}` };
}

function judge(
  client: Client,
  backend: StandIn,
  { code, said }: Finished,
  env: Record<string, string>,
): string | undefined {
  if (backend.refusals.length > 0) return `the backend refused ${JSON.stringify(backend.refusals)}`;
  const turns = backend.requests.filter((request) => request.path.endsWith("/responses")).length;
  if (client.hasNoTools) return code === 0 && turns > 0 ? undefined : `${turns} turns; ${said}`;
  return problemOfFile(env, said) ?? (turns < 2 ? `only ${turns} turns` : undefined);
}

function problemOfFile(env: Record<string, string>, said: string): string | undefined {
  const file = join(env["HOME"] ?? "", "work/out.txt");
  if (!existsSync(file)) return `no file; ${said}`;
  const text = readFileSync(file, "utf8");
  return text.includes("HELLO-RELAY") ? undefined : `the file holds ${JSON.stringify(text.slice(0, 200))}`;
}

/** Some clients leave a helper behind: whatever still has this run's home for its own is ended. */
function endStragglers(home: string): void {
  if (process.platform !== "linux") return;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (environment.includes(`HOME=${home}`)) process.kill(Number(pid));
    } catch {
      // Gone by now, or somebody else's.
    }
  }
}
