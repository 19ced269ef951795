/**
 * Makes the npm packages of a release out of its archives: `bun .github/npm/pack.ts DIST` writes DIST/npm/*.tgz.
 * `plansocket` is a launcher; each `plansocket-PLATFORM` holds the very executable of that archive, and npm installs the
 * one that fits. Archives must have the checksums of DIST/SHA256SUMS. PLANSOCKET_REPOSITORY names the repository.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import manifest from "../../package.json" with { type: "json" };

/** What npm compares with the machine, by the platform's name in releases. */
const PLATFORMS: Readonly<Record<string, { os: string; cpu: string; libc?: string }>> = {
  "linux-x64": { os: "linux", cpu: "x64", libc: "glibc" },
  "linux-arm64": { os: "linux", cpu: "arm64", libc: "glibc" },
  "linux-x64-musl": { os: "linux", cpu: "x64", libc: "musl" },
  "linux-arm64-musl": { os: "linux", cpu: "arm64", libc: "musl" },
  "darwin-x64": { os: "darwin", cpu: "x64" },
  "darwin-arm64": { os: "darwin", cpu: "arm64" },
  "windows-x64": { os: "win32", cpu: "x64" },
  "windows-arm64": { os: "win32", cpu: "arm64" },
};

const root = resolve(import.meta.dir, "../..");
const dist = resolve(process.argv[2] ?? join(root, "dist"));
const target = join(dist, "npm");
const repository = process.env["PLANSOCKET_REPOSITORY"] || manifest.repository;
const { name, version, license, keywords, description } = manifest;
const common = {
  version,
  license,
  ...(repository === "" ? {} : { repository: { type: "git", url: `git+${repository}.git` }, homepage: repository }),
};

rmSync(target, { recursive: true, force: true });
const sums = readFileSync(join(dist, "SHA256SUMS"), "utf8");
for (const platform of Object.keys(PLATFORMS)) assertChecksum(`${name}-${platform}.tar.gz`);
for (const platform of Object.keys(PLATFORMS)) packPlatform(platform);
packLauncher();

/** The package with one platform's executable. */
function packPlatform(platform: string): void {
  const folder = folderFor(platform);
  const archive = join(dist, `${name}-${platform}.tar.gz`);
  const file = platform.startsWith("windows") ? `${name}.exe` : name;
  run(["tar", "-xzf", archive, "-C", join(folder, "bin"), file]);
  chmodSync(join(folder, "bin", file), 0o755);
  const { os, cpu, libc } = PLATFORMS[platform] ?? { os: "", cpu: "" };
  const facts = { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) };
  write(folder, {
    name: `${name}-${platform}`,
    description: `The ${platform} executable of ${name}.`,
    ...common,
    ...facts,
    preferUnplugged: true,
    files: ["bin"],
  });
  writeFileSync(
    join(folder, "README.md"),
    `The ${platform} executable of \`${name}\`: install that package instead.\n`,
  );
  pack(folder);
}

/** The package that people name. */
function packLauncher(): void {
  const folder = folderFor("");
  copyFileSync(join(import.meta.dir, "launcher.js"), join(folder, "bin", `${name}.js`));
  chmodSync(join(folder, "bin", `${name}.js`), 0o755);
  copyFileSync(join(root, "README.md"), join(folder, "README.md"));
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  write(folder, {
    name,
    description,
    keywords,
    ...common,
    bin: { [name]: `bin/${name}.js` },
    files: ["bin"],
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(
      Object.keys(PLATFORMS).map((platform) => [`${name}-${platform}`, version]),
    ),
  });
  pack(folder);
}

function folderFor(platform: string): string {
  const folder = join(target, platform === "" ? name : `${name}-${platform}`);
  mkdirSync(join(folder, "bin"), { recursive: true });
  return folder;
}

function assertChecksum(file: string): void {
  const digest = new Bun.CryptoHasher("sha256").update(readFileSync(join(dist, file))).digest("hex");
  if (sums.split("\n").some((line) => line === `${digest}  ${file}` || line === `${digest} *${file}`)) return;
  console.error(`${file} does not have the checksum of SHA256SUMS.`);
  process.exit(1);
}

function write(folder: string, facts: Readonly<Record<string, unknown>>): void {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(facts, undefined, 2)}\n`);
}

/** Packs as npm publishes, and leaves the archive alone. */
function pack(folder: string): void {
  run(["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", target, folder]);
  rmSync(folder, { recursive: true });
}

function run(command: string[]): void {
  const { exitCode } = Bun.spawnSync(command, { stdout: "inherit", stderr: "inherit" });
  if (exitCode !== 0) process.exit(exitCode);
}
