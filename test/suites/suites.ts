import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Somebody else's SDK with cases of its documented use, by version. */
export interface Suite {
  readonly name: string;
  readonly language: "python" | "go" | "js";
  /** As its registry names it, with the version that is measured; the first is the one that the table names. */
  readonly packages: readonly (readonly [name: string, version: string])[];
  readonly script: string;
  /** Takes seconds to get and to run: part of every CI run. */
  readonly isQuick?: boolean;
}

/** One case as a script tells it. */
export interface Outcome {
  readonly case: string;
  readonly ok: boolean;
  readonly reason?: string;
}

export const SUITES: readonly Suite[] = [
  {
    name: "openai-python",
    language: "python",
    packages: [["openai", "3.57.0"]],
    script: "openai_sdk.py",
    isQuick: true,
  },
  {
    name: "anthropic-python",
    language: "python",
    packages: [["anthropic", "2.14.0"]],
    script: "anthropic_sdk.py",
    isQuick: true,
  },
  {
    name: "ollama-python",
    language: "python",
    packages: [["ollama", "0.6.3"]],
    script: "ollama_sdk.py",
    isQuick: true,
  },
  { name: "litellm", language: "python", packages: [["litellm", "1.110.2"]], script: "litellm_sdk.py" },
  {
    name: "langchain, pydantic-ai, openai-agents",
    language: "python",
    packages: [
      ["langchain-openai", "1.7.4"],
      ["langchain-anthropic", "1.7.10"],
      ["langchain-ollama", "1.1.0"],
      ["pydantic-ai-slim[openai,anthropic]", "2.66.0"],
      ["openai-agents", "0.24.0"],
    ],
    script: "frameworks.py",
  },
  { name: "openai-go", language: "go", packages: [["github.com/openai/openai-go/v3", "3.98.0"]], script: "openai.go" },
  {
    name: "anthropic-go",
    language: "go",
    packages: [["github.com/anthropics/anthropic-sdk-go/v2", "2.15.0"]],
    script: "anthropic.go",
  },
  { name: "codex-sdk", language: "js", packages: [["@openai/codex-sdk", "0.163.0"]], script: "codex-sdk.ts" },
];

/** What the languages need on this machine. */
const TOOLS = { python: "python3", go: "go", js: "npm" } as const;

const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "plansocket/suites");
const SCRIPTS = import.meta.dir;

/** Why a suite cannot be run on this machine; undefined when it can. */
export function missingFor({ language }: Suite): string | undefined {
  return Bun.which(TOOLS[language]) === null ? `${TOOLS[language]} is not installed` : undefined;
}

/**
 * Gets a suite's packages into a cache outside the repository, if they are not there, and returns the command that runs
 * its cases. Throws with the installer's last words.
 */
export function prepared(suite: Suite): { readonly command: readonly string[]; readonly env: Record<string, string> } {
  const versions = suite.packages.map(([name, version]) => `${name}@${version}`);
  const folder = join(CACHE, Bun.hash(JSON.stringify([suite.name, versions])).toString(36));
  const mark = join(folder, "installed");
  if (!existsSync(mark)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    INSTALL[suite.language](suite, folder);
    writeFileSync(mark, versions.join("\n"));
  }
  const source = join(SCRIPTS, suite.language, suite.script);
  if (suite.language === "python") return { command: [join(folder, "venv/bin/python"), source], env: {} };
  if (suite.language === "js") {
    return { command: [process.execPath, source], env: { SUITE_MODULE: moduleIn(folder, suite) } };
  }
  cpSync(source, join(folder, "main.go"));
  run(["go", "build", "-o", "cases", "."], folder);
  return { command: [join(folder, "cases")], env: {} };
}

const INSTALL: Readonly<Record<Suite["language"], (suite: Suite, folder: string) => void>> = {
  python({ packages }, folder) {
    run(["python3", "-m", "venv", "venv"], folder);
    const wanted = packages.map(([name, version]) => `${name}==${version}`);
    run([join(folder, "venv/bin/pip"), "install", "--quiet", "--disable-pip-version-check", ...wanted], folder);
  },
  go({ packages, script }, folder) {
    run(["go", "mod", "init", "cases"], folder);
    cpSync(join(SCRIPTS, "go", script), join(folder, "main.go"));
    run(["go", "get", ...packages.map(([name, version]) => `${name}@v${version}`)], folder);
  },
  js({ packages }, folder) {
    const wanted = packages.map(([name, version]) => `${name}@${version}`);
    run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder, ...wanted], folder);
  },
};

function moduleIn(folder: string, { packages }: Suite): string {
  const root = join(folder, "node_modules", packages[0]?.[0] ?? "");
  const entry = ["dist/index.js", "index.mjs", "index.js"].find((name) => existsSync(join(root, name)));
  return join(root, entry ?? readdirSync(root)[0] ?? "");
}

function run(command: readonly string[], cwd: string): void {
  const { exitCode, stderr } = Bun.spawnSync([...command], { cwd, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.slice(0, 3).join(" ")} …: ${stderr.toString().trim().slice(-300)}`);
}

/** Runs a suite's cases against a relay. */
export async function outcomes(suite: Suite, base: string, model: string): Promise<Outcome[]> {
  const { command, env } = prepared(suite);
  const child = Bun.spawn([...command], {
    cwd: CACHE,
    // A cost map that litellm would fetch, and reports that some SDKs send home.
    env: {
      ...process.env,
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      PYTHONDONTWRITEBYTECODE: "1",
      ...env,
      SUITE_BASE: base,
      SUITE_MODEL: model,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const limit = setTimeout(() => child.kill(), 180_000);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(limit);
  const found = out
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Outcome);
  if (code === 0 && found.length > 0) return found;
  return [...found, { case: "the script ends", ok: false, reason: `exit ${code}: ${err.trim().slice(-400)}` }];
}
