import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { BUILD_MS, builtExecutable } from "../support/executable.ts";
import { fakeCodex, says } from "../support/fake-codex.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { jwt } from "../support/token-server.ts";

let folder: string;
let built: ReturnType<typeof builtExecutable>;
let binary: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-binary-"));
  built = builtExecutable();
  binary = built.path;
}, BUILD_MS);
afterAll(() => {
  built.remove();
  rmSync(folder, { recursive: true, force: true });
});

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
    expect([version.code, version.out]).toEqual([0, expect.stringContaining(`plansocket ${manifest.version}`)]);
    const help = run(["--help"]);
    expect([help.code, help.err]).toEqual([0, ""]);
    const commands = [...help.out.matchAll(/^ {2}(\w+) {2,}/gm)].map((match) => match[1] ?? "");
    expect(commands).toEqual(expect.arrayContaining(["serve", "demo", "login", "doctor", "models"]));
    for (const command of commands) expect(run([command, "--help"]).out).toContain(`Usage  plansocket ${command}`);
    expect(run(["serve", "--help"]).out).toContain("--api-key");
  });

  test.each([
    [["nonsense"], 2, "Unknown command 'nonsense'"],
    [["serve", "--prot", "9"], 2, "Did you mean '--port'?"],
    [["serve", "--port", "x"], 2, "for --port"],
    [["serve", "--host", "0.0.0.0"], 1, "needs an API key"],
    [["models"], 1, "plansocket login"],
    [["usage"], 1, "plansocket login"],
    [["whoami"], 1, "plansocket login"],
    [[], 2, "Usage  plansocket COMMAND"],
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

  test("tells a collector, in both encodings, and unasked nobody", async () => {
    const collector = new OtlpReceiver();
    const backend = fakeCodex(says("hello"));
    const login = { PLANSOCKET_BASE_URL: backend.baseUrl, CODEX_ACCESS_TOKEN: jwt({ exp: 4_000_000_000 }) };
    const posts: number[] = [];
    for (const protocol of [undefined, "http/json", "http/protobuf"]) {
      const asked = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: protocol ?? "" };
      const { child, url } = await serving(["serve"], { ...login, ...(protocol === undefined ? {} : asked) });
      expect(await (await ask(url, "hi")).text()).toContain("hello");
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
      posts.push(collector.posts.length);
      if (protocol === "http/json") expect(collector.spans.map(({ name }) => name)).toContain("chat gpt-5.5");
    }
    expect(posts).toEqual([0, 2, 4]);
    const texts = collector.posts.slice(2).map(({ bytes }) => Buffer.from(bytes).toString("latin1"));
    expect(texts.join("")).toContain("chat gpt-5.5");
    await backend.stop();
    await collector.stop();
  }, 30_000);

  test("serve says what it knows, also without a login", async () => {
    const { child, said, url } = await serving(["serve"], { PLANSOCKET_API_KEY: "hunter2" });
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(said()).toContain("codex login");
    expect(said()).toContain("API key   required");
    expect(said()).not.toContain("hunter2");
  });

  test.if(process.platform === "linux")("serve starts anew with what Bun reads at its start alone", async () => {
    const { child } = await serving(["serve"]);
    const environment = readFileSync(`/proc/${child.pid}/environ`, "utf8").split("\0");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(environment).toContain("BUN_CONFIG_MAX_HTTP_REQUESTS=65535");
    expect(environment).toContain("BUN_JSC_thresholdForFTLOptimizeAfterWarmUp=750000");
    expect(environment).toContain("BUN_JSC_heapGrowthMaxIncrease=1.5");
  });

  test("what lies in the folder that it is started in changes nothing", async () => {
    const trap = join(folder, "trap");
    mkdirSync(trap, { recursive: true });
    writeFileSync(join(trap, ".env"), "PLANSOCKET_API_KEY=from-dotenv\n");
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
      PLANSOCKET_BASE_URL: "http://127.0.0.1:9",
    });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ origin: "bundled", models: expect.arrayContaining([]) });
  });
});
