import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Suite } from "./suites.ts";

/** One case as a script tells it. */
export interface Outcome {
  readonly case: string;
  readonly ok: boolean;
  readonly reason?: string;
  /** False where the suite itself passes over a case, as one of a feature that a model does not have. */
  readonly applies?: boolean;
}

const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "plansocket/suites");
const SCRIPTS = import.meta.dir;
/** The longest that the cases of one suite may take against one backend. */
const LIMIT_MS = 300_000;

/** How the suites of a language are got and run. */
interface Language {
  /** Commands that it needs. */
  readonly tools: readonly string[];
  /** Gets the packages into an empty folder. Throws with the installer's last words. */
  install(suite: Suite, folder: string): void;
  /** Makes the cases ready, each time, and returns the command that runs them. */
  command(suite: Suite, folder: string): readonly string[];
}

const LANGUAGES: Readonly<Record<Suite["language"], Language>> = {
  python: {
    tools: ["python3"],
    install({ packages, own }, folder) {
      run(["python3", "-m", "venv", "venv"], folder);
      const pip = [join(folder, "venv/bin/pip"), "--quiet", "--disable-pip-version-check"];
      const wanted = packages.map(([name, version]) => `${name}==${version}`);
      run([...pip, "install", ...wanted], folder);
      if (own === undefined) return;
      const [[name, version] = ["", ""]] = packages;
      run([...pip, "download", "--no-deps", "--no-binary", name, `${name}==${version}`], folder);
      run(["sh", "-c", "mkdir source && tar -xzf *.tar.gz -C source --strip-components 1"], folder);
    },
    command({ script, own }, folder) {
      const line = [join(folder, "venv/bin/python"), join(SCRIPTS, "python", script)];
      return own === undefined ? line : [...line, join(folder, "source"), JSON.stringify(own)];
    },
  },
  go: {
    tools: ["go"],
    install({ packages, script }, folder) {
      run(["go", "mod", "init", "cases"], folder);
      copyFileSync(join(SCRIPTS, "go", script), join(folder, "main.go"));
      run(["go", "get", ...packages.map(([name, version]) => `${name}@v${version}`)], folder);
    },
    command({ script }, folder) {
      copyFileSync(join(SCRIPTS, "go", script), join(folder, "main.go"));
      run(["go", "build", "-o", "cases", "."], folder);
      return [join(folder, "cases")];
    },
  },
  js: {
    tools: ["npm"],
    install({ packages }, folder) {
      writeFileSync(join(folder, "package.json"), "{}");
      const wanted = packages.map(([name, version]) => `${name}@${version}`);
      run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder, ...wanted], folder);
    },
    command({ script }, folder) {
      // Packages are looked for from where a script is.
      for (const file of ["harness.mjs", script]) copyFileSync(join(SCRIPTS, "js", file), join(folder, file));
      return [process.execPath, join(folder, script)];
    },
  },
  java: {
    tools: ["javac", "mvn"],
    install({ packages }, folder) {
      const wanted = packages.map(([name, version]) => {
        const [group = "", artifact = ""] = name.split(":");
        return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
      });
      const own = "<modelVersion>4.0.0</modelVersion><groupId>cases</groupId><artifactId>cases</artifactId>";
      const project = `<project>${own}<version>1</version><dependencies>${wanted.join("")}</dependencies></project>`;
      writeFileSync(join(folder, "pom.xml"), project);
      run(["mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath"], folder);
    },
    command({ script }, folder) {
      const sources = ["Harness.java", script].map((file) => join(SCRIPTS, "java", file));
      // The class path is longer than a command line may be.
      run(["sh", "-c", 'printf -- "-cp %s:." "$(cat classpath)" > arguments'], folder);
      run(["javac", "@arguments", "-proc:none", "-d", ".", ...sources], folder);
      return ["sh", "-c", 'cd "$0" && exec java @arguments "$1"', folder, script.replace(/\.java$/, "")];
    },
  },
  rust: {
    tools: ["cargo"],
    install({ packages: [[name, version] = ["", ""]] }, folder) {
      const others = 'tokio = { version = "1", features = ["full"] }\nfutures = "0.3"\nserde_json = "1"';
      const wanted = `${name} = { version = "=${version}", features = ["full"] }\n${others}\n`;
      const own = '[package]\nname = "cases"\nversion = "0.0.0"\nedition = "2021"\n';
      writeFileSync(join(folder, "Cargo.toml"), `${own}[dependencies]\n${wanted}`);
      mkdirSync(join(folder, "src"));
      writeFileSync(join(folder, "src/main.rs"), "fn main() {}");
      run(["cargo", "fetch", "--quiet"], folder);
    },
    command({ script }, folder) {
      copyFileSync(join(SCRIPTS, "rust", script), join(folder, "src/main.rs"));
      run(["cargo", "build", "--quiet"], folder);
      return [join(folder, "target/debug/cases")];
    },
  },
};

/** Why a suite cannot be run on this machine; undefined when it can. */
export function missingFor({ language }: Suite): string | undefined {
  const missing = LANGUAGES[language].tools.filter((tool) => Bun.which(tool) === null);
  return missing.length === 0 ? undefined : `${missing.join(" and ")} not installed`;
}

/**
 * Gets a suite's packages into a cache outside the repository, if they are not there, and returns the command that runs
 * its cases. Throws with the last words of the installer or the compiler.
 */
export function prepared(suite: Suite): readonly string[] {
  const versions = suite.packages.map(([name, version]) => `${name}@${version}`);
  const folder = join(CACHE, Bun.hash(JSON.stringify([suite.name, versions])).toString(36));
  const mark = join(folder, "installed");
  const language = LANGUAGES[suite.language];
  if (!existsSync(mark)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    language.install(suite, folder);
    writeFileSync(mark, versions.join("\n"));
  }
  return language.command(suite, folder);
}

function run(command: readonly string[], cwd: string): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd, stdout: "pipe", stderr: "pipe" });
  if (exitCode === 0) return;
  // Maven tells its errors on stdout.
  const said = [stderr, stdout].map((output) => output.toString().trim()).find((text) => text !== "");
  throw new Error(`${command.slice(0, 3).join(" ")} …: ${(said ?? `exit ${exitCode}`).slice(-300)}`);
}

/** Runs a suite's cases, with the command that makes them ready, against a relay. */
export async function outcomes(command: readonly string[], base: string, model: string): Promise<Outcome[]> {
  const child = Bun.spawn([...command], {
    cwd: CACHE,
    env: {
      ...process.env,
      // A cost map that litellm would fetch, and reports that some SDKs send home.
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      PYTHONDONTWRITEBYTECODE: "1",
      SUITE_BASE: base,
      SUITE_MODEL: model,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const limit = setTimeout(() => child.kill(), LIMIT_MS);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(limit);
  const found = out
    .split("\n")
    .filter((line) => line.startsWith('{"case"'))
    .map((line) => JSON.parse(line) as Outcome);
  if (code === 0 && found.length > 0) return found;
  return [...found, { case: "the script ends", ok: false, reason: `exit ${code}: ${err.trim().slice(-400)}` }];
}
