/**
 * `bun run build` writes dist/codex-relay for this platform; `--all` builds every release archive with SHA256SUMS;
 * `--target NAME` builds one; `--out FILE` names the executable of a single build.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import manifest from "./package.json" with { type: "json" };

/**
 * Release name → the npm package that holds Bun for it. Bun's own cross-compile download has a fixed address that no
 * setting changes, so executables come from npm like every other dependency, at the version that builds.
 */
const TARGETS = {
  "linux-x64": { bun: "bun-linux-x64", package: "@oven/bun-linux-x64-baseline" },
  "linux-arm64": { bun: "bun-linux-arm64", package: "@oven/bun-linux-aarch64" },
  "linux-x64-musl": { bun: "bun-linux-x64-musl", package: "@oven/bun-linux-x64-musl-baseline" },
  "linux-arm64-musl": { bun: "bun-linux-arm64-musl", package: "@oven/bun-linux-aarch64-musl" },
  "darwin-x64": { bun: "bun-darwin-x64", package: "@oven/bun-darwin-x64-baseline" },
  "darwin-arm64": { bun: "bun-darwin-arm64", package: "@oven/bun-darwin-aarch64" },
  "windows-x64": { bun: "bun-windows-x64", package: "@oven/bun-windows-x64-baseline" },
  "windows-arm64": { bun: "bun-windows-arm64", package: "@oven/bun-windows-aarch64" },
} as const;
type Target = keyof typeof TARGETS;

const root = import.meta.dir;
const dist = join(root, "dist");
const argv = process.argv.slice(2);
const valueOf = (flag: string) => (argv.includes(flag) ? argv[argv.indexOf(flag) + 1] : undefined);

mkdirSync(dist, { recursive: true });
const target = valueOf("--target");
if (argv.includes("--all")) await buildAll();
else if (target === undefined) console.log(await build(undefined, valueOf("--out") ?? join(dist, "codex-relay")));
else if (target in TARGETS) console.log(await archive(target as Target));
else {
  console.error(`Unknown target '${target}'. Targets: ${Object.keys(TARGETS).join(", ")}.`);
  process.exit(2);
}

async function buildAll(): Promise<void> {
  const lines: string[] = [];
  for (const name of Object.keys(TARGETS) as Target[]) {
    const path = await archive(name);
    const digest = new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
    lines.push(`${digest}  ${basename(path)}`);
    console.log(path);
  }
  writeFileSync(join(dist, "SHA256SUMS"), `${lines.join("\n")}\n`);
}

/** Builds one release archive and returns its path. */
async function archive(name: Target): Promise<string> {
  const folder = join(dist, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const executable = await build(name, join(folder, name.startsWith("windows") ? "codex-relay.exe" : "codex-relay"));
  const path = join(dist, `codex-relay-${name}.tar.gz`);
  run(["tar", "-czf", path, "-C", folder, basename(executable)]);
  rmSync(folder, { recursive: true, force: true });
  return path;
}

/** Compiles the executable; without a target, for this platform with the very Bun that runs this. */
async function build(name: Target | undefined, outfile: string): Promise<string> {
  const result = await Bun.build({
    entrypoints: [join(root, "src/main.ts")],
    minify: true,
    // Halves the start time for two megabytes; needs ESM because of the top-level await.
    bytecode: true,
    format: "esm",
    sourcemap: "inline",
    define: { CODEX_RELAY_COMMIT: JSON.stringify(commit()) },
    compile: {
      ...(name === undefined ? {} : { target: TARGETS[name].bun, executablePath: runtime(name) }),
      outfile,
      // The relay must not change its behaviour with the folder that it is started in.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  if (!result.success) {
    for (const message of result.logs) console.error(message);
    process.exit(1);
  }
  rmSync(`${outfile}.map`, { force: true });
  for (const file of readdirSync(dirname(outfile))) {
    if (file.endsWith(".map")) rmSync(join(dirname(outfile), file));
  }
  chmodSync(outfile, 0o755);
  return outfile;
}

/** Bun's executable for a platform, fetched once from npm. */
function runtime(name: Target): string {
  const cache = join(homedir(), ".cache", "codex-relay", `bun-${Bun.version}`, name);
  const executable = join(cache, "package", "bin", name.startsWith("windows") ? "bun.exe" : "bun");
  if (existsSync(executable)) return executable;
  mkdirSync(cache, { recursive: true });
  for (const candidate of [TARGETS[name].package, TARGETS[name].package.replace(/-baseline$/, "")]) {
    const packed = Bun.spawnSync(["npm", "pack", "--silent", `${candidate}@${Bun.version}`], {
      cwd: cache,
      stderr: "ignore",
    });
    const file = packed.stdout.toString().trim().split("\n").at(-1) ?? "";
    if (packed.exitCode !== 0 || file === "") continue;
    run(["tar", "-xzf", file], cache);
    rmSync(join(cache, file));
    if (existsSync(executable)) return executable;
  }
  throw new Error(`Bun ${Bun.version} for ${name} could not be fetched from npm.`);
}

function run(command: string[], cwd: string = root): void {
  const { exitCode } = Bun.spawnSync(command, { cwd, stdout: "inherit", stderr: "inherit" });
  if (exitCode !== 0) process.exit(exitCode);
}

/** The commit being built; "" outside a checkout. */
function commit(): string {
  const { stdout, exitCode } = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: root, stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : "";
}

console.error(`codex-relay ${manifest.version}, Bun ${Bun.version}`);
