/**
 * `bun run build` writes dist/plansocket for this platform; `--target NAME` builds one release archive and `--all`
 * every file of a release; `--out FILE` writes the executable itself there. PLANSOCKET_REPOSITORY and
 * PLANSOCKET_COMMIT say where it is built from, for forks and where there is no git.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { deflateRawSync } from "node:zlib";
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

const repository = repositoryUrl();
const target = valueOf("--target");
const out = valueOf("--out");
if (argv.includes("--all")) await buildAll();
else if (target !== undefined && !(target in TARGETS)) {
  console.error(`Unknown target '${target}'. Targets: ${Object.keys(TARGETS).join(", ")}.`);
  process.exit(2);
} else if (target === undefined || out !== undefined) {
  console.log(await build(target as Target | undefined, out ?? join(dist, "plansocket")));
} else console.log((await archives(target as Target)).join("\n"));

/** An installer, which in a checkout names no repository, with the address that its releases are at. */
function named(file: string, place: RegExp, line: string): string {
  const text = readFileSync(join(root, file), "utf8");
  if (!place.test(text)) {
    console.error(`${file} has no place for the repository.`);
    process.exit(1);
  }
  return text.replace(place, () => line);
}

/** Everything that a release offers for download. */
async function buildAll(): Promise<void> {
  const files: string[] = [];
  for (const name of Object.keys(TARGETS) as Target[]) files.push(...(await archives(name)));
  files.push(write("install.sh", named("install.sh", /^repository=$/m, `repository='${repository}'`)));
  const ownPlace = `$repository = '${repository}'`;
  files.push(write("install.ps1", named(".github/windows/install.ps1", /^ *\$repository = ''$/m, ownPlace)));
  // What `latest` is, in a form that a plain file server can mirror.
  files.push(write("VERSION", `${manifest.version}\n`));
  const lines = files.map((path) => {
    const digest = new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
    return `${digest}  ${basename(path)}`;
  });
  files.push(write("SHA256SUMS", `${lines.join("\n")}\n`));
  console.log(files.join("\n"));
}

function write(name: string, text: string): string {
  writeFileSync(join(dist, name), text);
  return join(dist, name);
}

/** Builds what a release offers for one platform: a .tar.gz, and for Windows a .zip as well. Returns their paths. */
async function archives(name: Target): Promise<string[]> {
  const folder = join(dist, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const executable = await build(name, join(folder, name.startsWith("windows") ? "plansocket.exe" : "plansocket"));
  const path = join(dist, `plansocket-${name}.tar.gz`);
  run(["tar", "-czf", path, "-C", folder, basename(executable)]);
  const paths = [path];
  if (name.startsWith("windows")) {
    paths.push(join(dist, `plansocket-${name}.zip`));
    writeFileSync(paths[1] ?? "", zipOf(basename(executable), readFileSync(executable)));
  }
  rmSync(folder, { recursive: true, force: true });
  return paths;
}

/** A ZIP archive of one file (APPNOTE.TXT 4.3): its local header and data, the directory, the directory's end. */
function zipOf(name: string, content: Uint8Array): Uint8Array {
  const data = deflateRawSync(content, { level: 9 });
  const label = Buffer.from(name);
  const now = new Date();
  // Version 2.0, no flags, deflate, then DOS time and date, checksum, both sizes, length of the name, no extra field.
  const facts = Buffer.alloc(26);
  facts.writeUInt16LE(20, 0);
  facts.writeUInt16LE(8, 4);
  facts.writeUInt16LE((now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1), 6);
  facts.writeUInt16LE(((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate(), 8);
  facts.writeUInt32LE(Bun.hash.crc32(content), 10);
  facts.writeUInt32LE(data.length, 14);
  facts.writeUInt32LE(content.length, 18);
  facts.writeUInt16LE(label.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04"), facts, label, data]);
  // The version that made it, and after the facts: no comment, first disk, no attributes, at offset 0.
  const directory = Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), facts, Buffer.alloc(14), label]);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, directory, end]);
}

/** Compiles the executable; without a target, for this platform with the very Bun that runs this. */
async function build(name: Target | undefined, outfile: string): Promise<string> {
  mkdirSync(dirname(outfile), { recursive: true });
  const result = await Bun.build({
    entrypoints: [join(root, "src/main.ts")],
    minify: true,
    // Halves the start time for two megabytes; needs ESM because of the top-level await.
    bytecode: true,
    format: "esm",
    // What is imported late stands by itself, so that a start reads only what it needs of the bytecode.
    splitting: true,
    sourcemap: "inline",
    define: {
      PLANSOCKET_COMMIT: JSON.stringify(commit()),
      PLANSOCKET_TARGET: JSON.stringify(name ?? thisPlatform()),
      PLANSOCKET_REPOSITORY: JSON.stringify(repository),
    },
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
  const cache = join(homedir(), ".cache", "plansocket", `bun-${Bun.version}`, name);
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

/** Where releases will be: it goes into scripts and executables, so nothing but a plain address is taken. */
function repositoryUrl(): string {
  const url = process.env["PLANSOCKET_REPOSITORY"] || manifest.repository;
  if (url !== "" && !/^https?:\/\/[\w.:-]+(\/[\w.-]+)+$/.test(url)) {
    console.error(`PLANSOCKET_REPOSITORY must be an address like https://HOST/OWNER/NAME, not '${url}'.`);
    process.exit(2);
  }
  return url;
}

/** The release name of the machine that builds. */
function thisPlatform(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  // The loader stands in the first page of an executable.
  const isMusl = system === "linux" && readFileSync(process.execPath).subarray(0, 4096).includes("/lib/ld-musl-");
  return `${system}-${process.arch}${isMusl ? "-musl" : ""}`;
}

/** The commit being built; "" outside a checkout and without git. */
function commit(): string {
  const given = process.env["PLANSOCKET_COMMIT"];
  if (given) return given.slice(0, 7);
  if (Bun.which("git") === null) return "";
  const { stdout, exitCode } = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: root, stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : "";
}

console.error(`plansocket ${manifest.version}, Bun ${Bun.version}`);
