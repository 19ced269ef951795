import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCredentials } from "../../src/auth/index.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { bindToItself, canMount, unmount } from "../support/mounts.ts";
import { eventually } from "../support/relay.ts";
import { jwt, startTokenServer, type TokenServer } from "../support/token-server.ts";

let home: string;
let file: string;
let server: TokenServer;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-processes-"));
  file = join(home, "auth.json");
  server = startTokenServer("rt_old");
  const tokens = {
    id_token: jwt({}),
    access_token: jwt({ exp: 1_000_000_000 }),
    refresh_token: "rt_old",
    login_owner_id: "kept",
  };
  writeFileSync(file, JSON.stringify({ auth_mode: "chatgpt", OPENAI_API_KEY: null, tokens, more: { kept: true } }), {
    mode: 0o600,
  });
});
afterEach(async () => {
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

function startProcess(mode: "once" | "loop") {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "relay-process.ts"), file, server.url, mode], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = readLines(child.stdout);
  const nextLine = async () => {
    const { value } = await lines.next();
    return value ?? "";
  };
  return { child, nextLine };
}

function refreshToken(): string {
  return (JSON.parse(readFileSync(file, "utf8")) as { tokens: { refresh_token: string } }).tokens.refresh_token;
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}

test("four processes on one expired login spend one refresh token", async () => {
  const processes = Array.from({ length: 4 }, () => startProcess("once"));
  for (const { nextLine } of processes) expect(await nextLine()).toBe("ready");
  for (const { child } of processes) {
    void child.stdin.write("go\n");
    await child.stdin.end();
  }
  const tokens = await Promise.all(processes.map(({ nextLine }) => nextLine()));
  expect(new Set(tokens).size).toBe(1);
  expect(tokens[0]).toContain(".sig");
  expect(server.asked).toEqual(["rt_old"]);
  expect(readdirSync(home)).toEqual(["auth.json"]);
}, 30_000);

test("a relay killed at any moment leaves a whole login and no lock that blocks", killed, 60_000);

test.skipIf(!canMount())(
  "a relay killed at any moment leaves a whole login in a file that is mounted by itself (needs root on Linux)",
  async () => {
    bindToItself(file);
    try {
      await killed();
    } finally {
      unmount(file);
    }
  },
  60_000,
);

async function killed(): Promise<void> {
  // Being killed between spending a token and saving its successor loses it whatever is done: here all tokens are good.
  for (let calls = 0; calls < 5000; calls += 1) {
    server.script.push(() =>
      Response.json({
        access_token: jwt({ exp: 4_000_000_000 + server.asked.length }),
        refresh_token: `rt_${server.asked.length}`,
      }),
    );
  }
  for (let kills = 0; kills < 20; kills += 1) {
    const { child, nextLine } = startProcess("loop");
    expect(await nextLine()).toBe("ready");
    // By renewals, not by time: on a slow machine none might have begun.
    const renewals = server.asked.length + 1 + Math.floor(Math.random() * 8);
    await eventually(() => server.asked.length >= renewals, 20_000);
    await Bun.sleep(Math.random() * 5);
    child.kill("SIGKILL");
    await child.exited;
    const whole = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    expect(whole).toMatchObject({ auth_mode: "chatgpt", tokens: { login_owner_id: "kept" }, more: { kept: true } });
    for (const name of readdirSync(home)) expect([name, statSync(join(home, name)).mode & 0o077]).toEqual([name, 0]);
  }
  const keeper = openCredentials({
    env: {},
    authFile: file,
    stateDir: home,
    tokenUrl: server.url,
    clientId: "app",
    fetch,
    log: SILENT_LOG,
  });
  const started = performance.now();
  const kept = refreshToken();
  await keeper.recover(await keeper.current(), 2);
  expect(server.asked).toContain(kept);
  expect(refreshToken()).not.toBe(kept);
  // A lock left by a dead process is taken over at once; one left empty, after a second.
  expect(performance.now() - started).toBeLessThan(4000);
}
