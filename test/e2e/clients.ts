/**
 * `bun test/e2e/clients.ts [name …]`: real command-line clients do a small tool task through the relay against the
 * stand-in backend, judged by the file that their own tool wrote. Clients that are not on the PATH are skipped.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

/** Enough for a client's cold start on a busy machine. */
const LIMIT_MS = 120_000;

interface Task {
  readonly home: string;
  readonly work: string;
  readonly v1: string;
  readonly model: string;
  readonly prompt: string;
}

interface Client {
  readonly name: string;
  readonly command: string;
  readonly models: readonly string[];
  /** Writes the client's configuration into its empty home and says how to call it. */
  prepare(task: Task): { args: string[]; env: Record<string, string> };
}

const codexOver = (transport: "HTTP" | "WebSocket"): Client => ({
  name: `Codex CLI over ${transport}`,
  command: "codex",
  models: ["gpt-5.5", "gpt-6.1-sol"],
  prepare({ home, work, v1, model, prompt }) {
    mkdirSync(join(home, ".codex"), { recursive: true });
    writeFileSync(
      join(home, ".codex/config.toml"),
      [
        `model = "${model}"`,
        'model_provider = "relay"',
        "[model_providers.relay]",
        'name = "relay"',
        `base_url = "${v1}"`,
        'env_key = "RELAY_KEY"',
        'wire_api = "responses"',
        `supports_websockets = ${transport === "WebSocket"}`,
        "[features]",
        "plugins = false",
        "apps = false",
        "[analytics]",
        "enabled = false",
      ].join("\n"),
    );
    return {
      args: [
        "exec",
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        "-C",
        work,
        prompt,
      ],
      env: { CODEX_HOME: join(home, ".codex"), RELAY_KEY: "any" },
    };
  },
});

const opencode: Client = {
  name: "opencode",
  command: "opencode",
  models: ["gpt-5.5", "gpt-6.1-sol"],
  prepare({ work, v1, model, prompt }) {
    const config = {
      $schema: "https://opencode.ai/config.json",
      provider: {
        relay: {
          npm: "@ai-sdk/openai-compatible",
          name: "relay",
          options: { baseURL: v1, apiKey: "any" },
          models: { [model]: { name: model, tool_call: true, limit: { context: 272_000, output: 32_000 } } },
        },
      },
      permission: { edit: "allow", bash: "allow" },
    };
    writeFileSync(join(work, "opencode.json"), JSON.stringify(config));
    return {
      args: ["run", "--model", `relay/${model}`, prompt],
      env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
    };
  },
};

const CLIENTS: readonly Client[] = [codexOver("HTTP"), codexOver("WebSocket"), opencode];

const wanted = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const client of CLIENTS) {
  if (wanted.length > 0 && !wanted.includes(client.command)) continue;
  const path = Bun.which(client.command);
  for (const model of client.models) {
    if (path === null) {
      totals.skipped += 1;
      console.log(`skip  ${client.name} with ${model}: not installed`);
      continue;
    }
    const problem = await run(client, path, model);
    totals[problem === undefined ? "passed" : "failed"] += 1;
    console.log(
      problem === undefined ? `ok    ${client.name} with ${model}` : `FAIL  ${client.name} with ${model}: ${problem}`,
    );
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 ? 1 : 0);

/** What went wrong, or undefined. */
async function run(client: Client, path: string, model: string): Promise<string | undefined> {
  const demo = startDemoRelay();
  const home = mkdtempSync(join(tmpdir(), "codex-relay-client-"));
  try {
    const work = join(home, "work");
    mkdirSync(work);
    const prompt = "Write the text HELLO-RELAY to the file out.txt, then read it back.";
    const { args, env } = client.prepare({ home, work, v1: demo.v1, model, prompt });
    const child = Bun.spawn([path, ...args], {
      cwd: work,
      env: { PATH: process.env["PATH"] ?? "", HOME: home, TERM: "xterm", ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const timer = setTimeout(() => child.kill(), LIMIT_MS);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearTimeout(timer);
    return judge(demo, join(work, "out.txt"), `${stdout}\n${stderr}`, code);
  } finally {
    await demo.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

function judge(demo: DemoRelay, file: string, output: string, code: number): string | undefined {
  if (demo.backend.refusals.length > 0) return `the backend refused ${JSON.stringify(demo.backend.refusals)}`;
  if (!existsSync(file)) return `exit ${code}, no file; the client said: ${output.slice(-1500)}`;
  const text = readFileSync(file, "utf8");
  if (!text.includes("HELLO-RELAY")) return `the file holds ${JSON.stringify(text.slice(0, 200))}`;
  const turns = demo.backend.requests.filter((request) => request.path.endsWith("/responses")).length;
  return turns < 2 ? `only ${turns} turns` : undefined;
}
