/**
 * `bun test/e2e/clients.ts [name …]`: real command-line clients do a small tool task through the relay against the
 * stand-in backend, judged by the file that their own tool wrote. Each is pointed at the relay in both ways that the
 * relay offers: by `setup`, in an empty home, and by `run`. Clients that are not on the PATH are skipped.
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
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { startDemoRelay } from "../support/demo.ts";

/** Enough for a client's cold start on a busy machine. */
const LIMIT_MS = 120_000;
const PROMPT = "Write the text HELLO-RELAY to the file out.txt, then read it back.";
/** The relay asks for it, so a client that was not told it gets nowhere. */
const KEY = "key-of-this-run";
const MAIN = join(import.meta.dir, "../../src/main.ts");

type Way = "setup" | "run";

interface Task {
  readonly way: Way;
  readonly model: string;
}

interface Client {
  /** As `setup` calls it. */
  readonly name: string;
  readonly command: string;
  readonly args: (task: Task) => readonly string[];
  /** Keeps the client from calling anything but the relay. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files that let it use its tools without asking. */
  readonly files?: Readonly<Record<string, string>>;
  /** Both, unless it has only a file of its own. */
  readonly ways?: readonly Way[];
  /** What sets it apart from another of its name. */
  readonly remark?: string;
  /** It edits by text, not by tools, and the stand-in writes no code: its answer has to do. */
  readonly hasNoTools?: boolean;
}

const codexArgs = ({ way, model }: Task, settings: readonly string[]) => [
  "exec",
  "--json",
  "--skip-git-repo-check",
  "--dangerously-bypass-approvals-and-sandbox",
  ...["features.plugins", "features.apps", "analytics.enabled", ...settings].flatMap((name) => ["-c", `${name}=false`]),
  ...(way === "setup" ? ["--profile", "plansocket"] : ["-m", model]),
  PROMPT,
];

const CLIENTS: readonly Client[] = [
  // By `run` it speaks HTTP, after `setup` over a WebSocket unless told otherwise.
  { name: "codex", command: "codex", args: (task) => codexArgs(task, []) },
  {
    name: "codex",
    command: "codex",
    args: (task) => codexArgs(task, ["model_providers.plansocket.supports_websockets"]),
    ways: ["setup"],
    remark: ", over HTTP",
  },
  {
    name: "opencode",
    command: "opencode",
    args: ({ model }) => ["run", "--model", `plansocket/${model}`, PROMPT],
    env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
    files: { "opencode.json": JSON.stringify({ permission: { edit: "allow", bash: "allow" } }) },
  },
  {
    name: "pi",
    command: "pi",
    args: () => ["--no-session", "-p", PROMPT],
    env: { PI_OFFLINE: "1", PI_TELEMETRY: "0" },
  },
  {
    name: "claude-code",
    command: "claude",
    args: () => ["-p", PROMPT, "--output-format", "text", "--dangerously-skip-permissions"],
    // As root it runs tools unasked only where it believes to be fenced in.
    env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", IS_SANDBOX: "1" },
  },
  { name: "qwen-code", command: "qwen", args: () => ["--yolo", "-p", PROMPT] },
  { name: "cline", command: "cline", args: () => ["--json", "--auto-approve", "true", PROMPT] },
  {
    name: "continue",
    command: "cn",
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
const WAYS: readonly Way[] = ["setup", "run"];

const wanted = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const client of CLIENTS) {
  if (wanted.length > 0 && !wanted.includes(client.name)) continue;
  const path = Bun.which(client.command);
  for (const way of client.ways ?? WAYS) {
    for (const model of MODELS) {
      const title = `${client.name} by ${way} with ${model}${client.remark ?? ""}`;
      if (path === null) {
        totals.skipped += 1;
        console.log(`skip  ${title}: not installed`);
        continue;
      }
      const problem = await tried(client, path, { way, model });
      totals[problem === undefined ? "passed" : "failed"] += 1;
      console.log(problem === undefined ? `ok    ${title}` : `FAIL  ${title}: ${problem}`);
    }
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 ? 1 : 0);

/** What went wrong, or undefined. */
async function tried(client: Client, path: string, task: Task): Promise<string | undefined> {
  // The path as processes see it, on which the end of those that stay behind depends.
  const home = realpathSync(mkdtempSync(join(tmpdir(), "plansocket-client-")));
  const work = join(home, "work");
  mkdirSync(work);
  for (const [name, text] of Object.entries(client.files ?? {})) writeFileSync(join(work, name), text);
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, TERM: "xterm", ...client.env };
  try {
    return task.way === "setup" ? await bySetup(client, path, task, env) : await byRun(client, task, env);
  } finally {
    endStragglers(home);
    rmSync(home, { recursive: true, force: true });
  }
}

async function bySetup(client: Client, path: string, task: Task, env: Record<string, string>) {
  const demo = startDemoRelay({ relay: { apiKey: KEY } });
  try {
    const port = String(demo.relay.port);
    const setup = ["setup", client.name, "--yes", "--model", task.model, "--port", port];
    const done = await finished([process.execPath, MAIN, ...setup], env, {
      ...loginOf(demo.backend),
      PLANSOCKET_API_KEY: KEY,
    });
    if (done.code !== 0) return `setup: ${done.said}`;
    return judge(client, demo.backend, await finished([path, ...client.args(task)], env), env);
  } finally {
    await demo.stop();
  }
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
  const file = join(env["HOME"] ?? "", "work/out.txt");
  if (!existsSync(file)) return `no file; ${said}`;
  const text = readFileSync(file, "utf8");
  if (!text.includes("HELLO-RELAY")) return `the file holds ${JSON.stringify(text.slice(0, 200))}`;
  return turns < 2 ? `only ${turns} turns` : undefined;
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
