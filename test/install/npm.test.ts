import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { THIS_PLATFORM } from "../support/releases.ts";

const SLOW_MS = 120_000;
const { version } = manifest;
const UNIX = ["linux-x64", "linux-arm64", "linux-x64-musl", "linux-arm64-musl", "darwin-x64", "darwin-arm64"];
const PLATFORMS = UNIX.concat("windows-x64", "windows-arm64");

/** A program that tells which platform's it is, and obeys as the real one does. */
const programOf = (platform: string) => `#!/bin/sh
[ "$1" != wait ] || trap 'exit 3' TERM
echo "${platform} ran $*"
[ "$1" != fail ] || exit 7
[ "$1" != wait ] || for _ in $(seq 200); do sleep 0.05; done
`;

let folder: string;
let dist: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-npm-"));
  dist = join(folder, "dist");
  mkdirSync(dist);
  for (const platform of PLATFORMS) {
    const file = platform.startsWith("windows") ? "plansocket.exe" : "plansocket";
    writeFileSync(join(folder, file), programOf(platform), { mode: 0o755 });
    Bun.spawnSync(["tar", "-czf", join(dist, `plansocket-${platform}.tar.gz`), "-C", folder, file]);
  }
  writeSums();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function writeSums(): void {
  const files = readdirSync(dist).filter((file) => file.endsWith(".tar.gz"));
  const lines = files.map((file) => `${digestOf(readFileSync(join(dist, file)))}  ${file}\n`);
  writeFileSync(join(dist, "SHA256SUMS"), lines.join(""));
}

const digestOf = (bytes: Uint8Array | string) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
const pack = () =>
  Bun.spawnSync([process.execPath, join(import.meta.dir, "../../.github/npm/pack.ts"), dist], {
    env: { ...process.env, PLANSOCKET_REPOSITORY: "https://git.example/owner/plansocket" },
  });
const tarball = (name: string) => join(dist, "npm", `${name}-${version}.tgz`);
const fileIn = (name: string, file: string) =>
  Bun.spawnSync(["tar", "-xzOf", tarball(name), `package/${file}`]).stdout.toString();

/** A registry on this machine that knows what was published to it, and notes the order. */
function startRegistry() {
  const packages = new Map<string, Published>();
  const tarballs = new Map<string, Uint8Array<ArrayBuffer>>();
  const published: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    maxRequestBodySize: 1 << 30,
    async fetch(request) {
      const path = decodeURIComponent(new URL(request.url).pathname.slice(1));
      if (request.method === "PUT") {
        const body = (await request.json()) as Published;
        packages.set(path, body);
        published.push(`${path} ${Object.keys(body["dist-tags"]).join()}`);
        for (const [file, { data }] of Object.entries(body._attachments)) {
          tarballs.set(`${path}/-/${file}`, new Uint8Array(Buffer.from(data, "base64")));
        }
        return Response.json({ ok: true }, { status: 201 });
      }
      const bytes = tarballs.get(path);
      if (bytes) return new Response(bytes);
      const found = packages.get(path);
      return found ? Response.json({ ...found, _attachments: {} }) : Response.json({}, { status: 404 });
    },
  });
  return { url: server.url.href, published, stop: () => server.stop(true) };
}

interface Published {
  readonly "dist-tags": Readonly<Record<string, string>>;
  readonly _attachments: Readonly<Record<string, { data: string }>>;
}

describe.skipIf(Bun.which("npm") === null || process.platform === "win32")("npm packages", () => {
  test(
    "hold the executables of the archives, and the launcher names each at its version",
    () => {
      expect(pack().exitCode).toBe(0);
      expect(readdirSync(join(dist, "npm")).length).toBe(PLATFORMS.length + 1);
      for (const platform of PLATFORMS) {
        const file = platform.startsWith("windows") ? "plansocket.exe" : "plansocket";
        expect(digestOf(fileIn(`plansocket-${platform}`, `bin/${file}`))).toBe(digestOf(programOf(platform)));
      }
      expect(JSON.parse(fileIn("plansocket-linux-arm64-musl", "package.json"))).toMatchObject({
        os: ["linux"],
        cpu: ["arm64"],
        libc: ["musl"],
        repository: { url: "git+https://git.example/owner/plansocket.git" },
      });
      const launcher = JSON.parse(fileIn("plansocket", "package.json")) as Record<string, unknown>;
      expect(launcher).toMatchObject({ name: "plansocket", version, bin: { plansocket: "bin/plansocket.js" } });
      expect(launcher["optionalDependencies"]).toEqual(
        Object.fromEntries(PLATFORMS.map((platform) => [`plansocket-${platform}`, version])),
      );
      // A package that runs something when it is installed would be refused by careful people.
      expect(launcher["scripts"]).toBeUndefined();
    },
    SLOW_MS,
  );

  test(
    "are published once, the launcher last, and let npx run the program of this platform, with its arguments, exit code and signals",
    async () => {
      const registry = startRegistry();
      const home = join(folder, "a home");
      mkdirSync(home);
      const env = {
        HOME: home,
        PATH: process.env["PATH"] ?? "",
        npm_config_registry: registry.url,
        npm_config_cache: join(home, "cache"),
        npm_config_audit: "false",
        npm_config_update_notifier: "false",
      };
      writeFileSync(join(home, ".npmrc"), `${registry.url.replace("http:", "")}:_authToken=some-token\n`);
      // Each command of npm takes a second or so: three packages stand for all.
      const some = join(folder, "some");
      mkdirSync(some);
      const names = ["plansocket", `plansocket-${THIS_PLATFORM}`, "plansocket-windows-arm64"];
      for (const name of names) copyFileSync(tarball(name), join(some, `${name}-${version}.tgz`));
      const publish = async () => {
        const script = join(import.meta.dir, "../../.github/npm/publish.sh");
        const child = Bun.spawn(["sh", script, some, `v${version}`, "--loglevel=error"], {
          cwd: home,
          env,
          stdin: "ignore",
        });
        return [await child.exited, registry.published.length];
      };
      expect(await publish()).toEqual([0, names.length]);
      // Last of all, what names the others.
      expect(registry.published.at(-1)).toBe("plansocket latest");
      expect(await publish()).toEqual([0, names.length]);

      const npx = async (args: string[]) => {
        const child = Bun.spawn(["npx", "--yes", "plansocket", ...args], {
          cwd: home,
          env,
          stdin: "ignore",
          stderr: "pipe",
        });
        const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
        return { code: await child.exited, out, err };
      };
      expect(await npx(["demo", "--port", "0"])).toEqual({
        code: 0,
        out: `${THIS_PLATFORM} ran demo --port 0\n`,
        err: "",
      });
      expect((await npx(["fail"])).code).toBe(7);

      const installed = Bun.spawn(["npm", "install", "--silent", "plansocket"], { cwd: home, env, stdin: "ignore" });
      expect(await installed.exited).toBe(0);
      const launcher = join(home, "node_modules/.bin/plansocket");
      const waiting = Bun.spawn([launcher, "wait"], { env, stdin: "ignore" });
      const reader = waiting.stdout.getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toContain("ran wait");
      waiting.kill("SIGTERM");
      expect(await waiting.exited).toBe(3);

      rmSync(join(home, `node_modules/plansocket-${THIS_PLATFORM}`), { recursive: true });
      rmSync(join(home, `node_modules/plansocket-${THIS_PLATFORM}-musl`), { recursive: true, force: true });
      const none = Bun.spawnSync([launcher, "--version"], { env });
      expect([none.exitCode, none.stderr.toString()]).toEqual([
        1,
        expect.stringContaining("installed no executable for"),
      ]);
      await registry.stop();
    },
    SLOW_MS,
  );

  test("are not made of an archive whose checksum is another", () => {
    const path = join(dist, "plansocket-darwin-x64.tar.gz");
    const before = readFileSync(path);
    writeFileSync(path, "changed");
    const { exitCode, stderr } = pack();
    writeFileSync(path, before);
    expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining("does not have the checksum")]);
  });
});
