import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "../..");
const SLOW_MS = 120_000;

let folder: string;
let binary: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "codex-relay-binary-"));
  const given = process.env["CODEX_RELAY_BINARY"];
  binary = given ?? join(folder, "codex-relay");
  if (given !== undefined) return;
  const built = Bun.spawnSync([process.execPath, "build.ts", "--out", binary], { cwd: root });
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
}, SLOW_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cleanEnv = (more: Record<string, string> = {}) => ({ HOME: folder, PATH: process.env["PATH"] ?? "", ...more });

function run(args: string[], more: Record<string, string> = {}) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args], { cwd: folder, env: cleanEnv(more) });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

/** Starts a serving command on a free port and waits for its first line. */
async function serving(args: string[], more: Record<string, string> = {}, cwd = folder) {
  const child = Bun.spawn([binary, ...args, "--port", "0"], {
    cwd,
    env: cleanEnv(more),
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const decoder = new TextDecoder();
  const reader = child.stderr.getReader();
  let url: string | undefined;
  while (url === undefined) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended: ${text}`);
    text += decoder.decode(value, { stream: true });
    url = /listens on (http:\/\/[^\s:]+:\d+)/.exec(text)?.[1];
  }
  const rest = (async () => {
    for (let read = await reader.read(); !read.done; read = await reader.read()) text += decoder.decode(read.value);
    return text;
  })();
  return { child, url, said: () => text, rest };
}

const ask = (url: string, content: string, stream = false) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5.5", stream, messages: [{ role: "user", content }] }),
  });

describe("the executable", () => {
  test("knows its version and its commands", () => {
    const version = run(["--version"]);
    expect([version.code, version.out]).toEqual([0, expect.stringContaining(`codex-relay ${manifest.version}`)]);
    const help = run(["--help"]);
    expect([help.code, help.err]).toEqual([0, ""]);
    const commands = [...help.out.matchAll(/^ +(\w+) {4}/gm)].map((match) => match[1] ?? "");
    expect(commands).toEqual(expect.arrayContaining(["serve", "demo", "login", "doctor", "models"]));
    for (const command of commands) expect(run([command, "--help"]).out).toContain(`USAGE codex-relay ${command}`);
    expect(run(["serve", "--help"]).out).toContain("--api-key");
  });

  test.each([
    [["nonsense"], 2, "Unknown command 'nonsense'"],
    [["serve", "--prot", "9"], 2, "Did you mean '--port'?"],
    [["serve", "--port", "x"], 2, "for --port"],
    [["serve", "--host", "0.0.0.0"], 1, "needs an API key"],
    [["models"], 1, "codex-relay login"],
    [["usage"], 1, "codex-relay login"],
    [["whoami"], 1, "codex-relay login"],
    [[], 2, "COMMANDS"],
  ])("%j exits %i", (args, code, message) => {
    const result = run(args);
    expect(result.code).toBe(code);
    expect(result.err).toContain(message);
    expect(result.out).toBe("");
    expect(result.err).not.toMatch(/\n\s+at /);
  });

  test("demo answers, whole and streamed, and stops on SIGTERM after what runs", async () => {
    const { child, url } = await serving(["demo"]);
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: "ok", version: manifest.version });
    expect(await (await ask(url, "hello")).json()).toMatchObject({ choices: [{ finish_reason: "stop" }] });
    const stream = await ask(url, "deltas:100", true);
    child.kill("SIGTERM");
    const text = await stream.text();
    expect(text).toEndWith("data: [DONE]\n\n");
    expect(text).toContain('"finish_reason":"stop"');
    expect(await child.exited).toBe(0);
  });

  test("a second signal stops at once, and says so in the stream", async () => {
    const { child, url } = await serving(["demo"]);
    const stream = await ask(url, "deltas:100000", true);
    child.kill("SIGTERM");
    await Bun.sleep(50);
    child.kill("SIGTERM");
    await stream.text().catch(() => "");
    expect(await child.exited).toBe(0);
  });

  test("serve says what it knows, also without a login", async () => {
    const { child, said, url } = await serving(["serve"], { CODEX_RELAY_API_KEY: "hunter2" });
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(said()).toContain("codex login");
    expect(said()).toContain("API key   required");
    expect(said()).not.toContain("hunter2");
  });

  test("what lies in the folder that it is started in changes nothing", async () => {
    const trap = join(folder, "trap");
    mkdirSync(trap, { recursive: true });
    writeFileSync(join(trap, ".env"), "CODEX_RELAY_API_KEY=from-dotenv\n");
    writeFileSync(join(trap, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    writeFileSync(join(trap, "evil.ts"), 'import { writeFileSync } from "node:fs"; writeFileSync("owned", "");\n');
    const { child, url } = await serving(["demo"], {}, trap);
    expect((await fetch(`${url}/v1/models`)).status).toBe(200);
    child.kill("SIGTERM");
    await child.exited;
    expect(existsSync(join(trap, "owned"))).toBe(false);
  });

  test("models prints data on stdout and nothing else there", () => {
    const { out, code } = run(["models", "--json"], {
      OPENAI_ACCESS_TOKEN: "x",
      CODEX_RELAY_BASE_URL: "http://127.0.0.1:9",
    });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ origin: "bundled", models: expect.arrayContaining([]) });
  });
});

describe("install.sh", () => {
  const install = (
    args: string[],
    more: Record<string, string> = {},
    script = readFileSync(join(root, "install.sh"), "utf8"),
  ) =>
    Bun.spawn(["sh", "-s", "--", ...args], {
      cwd: folder,
      env: cleanEnv({ CODEX_RELAY_PREFIX: join(folder, "prefix"), ...more }),
      stdin: new Blob([script]),
      stdout: "pipe",
      stderr: "pipe",
    });
  const finish = async (child: Bun.Subprocess<"ignore" | Blob, "pipe", "pipe">) => ({
    code: await child.exited,
    err: await new Response(child.stderr).text(),
    out: await new Response(child.stdout).text(),
  });
  const installed = () => join(folder, "prefix/bin/codex-relay");

  /** Serves one archive under the name of this platform. */
  async function releases(sums: (digest: string, file: string) => string) {
    const platform = `${process.platform === "darwin" ? "darwin" : "linux"}-${process.arch}`;
    const file = `codex-relay-${platform}.tar.gz`;
    const packed = join(folder, "release");
    mkdirSync(packed, { recursive: true });
    copyFileSync(binary, join(packed, "codex-relay"));
    Bun.spawnSync(["tar", "-czf", join(folder, file), "-C", packed, "codex-relay"]);
    const bytes = await Bun.file(join(folder, file)).arrayBuffer();
    const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    const asked: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        const { pathname } = new URL(request.url);
        asked.push(pathname);
        if (pathname.endsWith("/SHA256SUMS")) return new Response(sums(digest, file));
        return pathname.endsWith(`/${file}`) ? new Response(bytes) : new Response("no", { status: 404 });
      },
    });
    return {
      env: { CODEX_RELAY_RELEASES_URL: `http://127.0.0.1:${server.port}/releases` },
      asked,
      stop: () => server.stop(true),
    };
  }

  test(
    "piped, it installs the release, runs what follows and removes it again",
    async () => {
      const server = await releases((digest, file) => `${digest}  ${file}\n`);
      const good = await finish(install(["--version", "1.2.3", "models", "--help"], server.env));
      expect([good.code, good.err]).toEqual([0, expect.stringContaining("Installed codex-relay")]);
      expect(good.out).toContain("--json");
      expect(server.asked.every((path) => path.startsWith("/releases/download/v1.2.3/"))).toBe(true);
      expect(existsSync(installed())).toBe(true);
      expect((await finish(install(["--uninstall"]))).code).toBe(0);
      expect(existsSync(installed())).toBe(false);
      expect((await finish(install(["--uninstall"]))).code).toBe(1);
      await server.stop();
    },
    SLOW_MS,
  );

  test.each([
    ["a wrong checksum", () => `${"0".repeat(64)}  FILE\n`, "is wrong"],
    ["no checksum", () => "", "no checksum"],
  ])(
    "%s installs nothing",
    async (_name, sums, message) => {
      const server = await releases((_digest, file) => sums().replace("FILE", file));
      const result = await finish(install([], server.env));
      expect([result.code, result.err]).toEqual([1, expect.stringContaining(message)]);
      expect(existsSync(installed())).toBe(false);
      await server.stop();
    },
    SLOW_MS,
  );

  test("a network that fails, a wrong option and a strange machine say so", async () => {
    const none = await finish(install([], { CODEX_RELAY_RELEASES_URL: "http://127.0.0.1:9" }));
    expect([none.code, none.err]).toEqual([1, expect.stringContaining("could not be fetched")]);
    const wrong = await finish(install(["--prefx"]));
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("unknown option")]);
    const bin = join(folder, "bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "uname"), '#!/bin/sh\n[ "$1" = -m ] && echo riscv128 || echo Linux\n', { mode: 0o755 });
    const strange = await finish(install([], { PATH: `${bin}:${process.env["PATH"]}` }));
    expect([strange.code, strange.err]).toEqual([1, expect.stringContaining("no release for riscv128")]);
    expect(existsSync(installed())).toBe(false);
  });

  test(
    "inside a checkout it builds from source",
    async () => {
      const child = Bun.spawn(["sh", join(root, "install.sh"), "--prefix", join(folder, "built"), "--", "--version"], {
        cwd: folder,
        env: {
          ...cleanEnv(),
          HOME: process.env["HOME"] ?? folder,
          PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}`,
        },
        stdout: "pipe",
        stderr: "pipe",
      });
      const result = await finish(child);
      expect([result.code, result.out]).toEqual([0, expect.stringContaining(manifest.version)]);
      expect(existsSync(join(folder, "built/bin/codex-relay"))).toBe(true);
    },
    SLOW_MS,
  );
});
