import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jwt, startTokenServer } from "../support/token-server.ts";

/**
 * A relay's process whose system calls really fail as they do on file systems that cannot be mounted here: network,
 * FUSE and merged ones. strace puts the error in the kernel's place.
 */
const strace = Bun.which("strace");
const canTrace = strace !== null && Bun.spawnSync([strace, "-qq", "-o", "/dev/null", "true"]).exitCode === 0;

const home = mkdtempSync(join(tmpdir(), "plansocket-refused-"));
const file = join(home, "auth.json");
afterAll(() => rmSync(home, { recursive: true, force: true }));

beforeEach(() => {
  const tokens = { id_token: jwt({}), access_token: jwt({ exp: 1_000_000_000 }), refresh_token: "rt_old" };
  writeFileSync(file, JSON.stringify({ auth_mode: "chatgpt", OPENAI_API_KEY: null, tokens, more: { kept: true } }), {
    mode: 0o644,
  });
});

/** One renewal; the refresh tokens that were spent, and the one that is stored afterwards. */
async function renewal(calls: string, error: string) {
  const server = startTokenServer("rt_old");
  try {
    const inject = ["-e", `trace=${calls}`, "-e", `inject=${calls}:error=${error}`];
    const process_ = [process.execPath, join(import.meta.dir, "relay-process.ts"), file, server.url, "once"];
    const child = Bun.spawn([strace ?? "", "-f", "-qq", "-o", "/dev/null", ...inject, ...process_], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    await child.stdin.write("\n");
    await child.stdin.end();
    const [code, out, err] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    const { tokens, more } = JSON.parse(readFileSync(file, "utf8")) as {
      tokens: { refresh_token: string };
      more: object;
    };
    return { code, out, err, spent: server.asked, kept: tokens.refresh_token, more, mode: statSync(file).mode & 0o777 };
  } finally {
    await server.stop();
  }
}

const RENAME = "rename,renameat,renameat2";

describe.skipIf(!canTrace)("a renewal whose system calls are refused (needs strace)", () => {
  test.each([
    ["rename", RENAME, "EXDEV"],
    ["rename", RENAME, "EINVAL"],
    ["rename", RENAME, "EIO"],
    ["rename", RENAME, "EPERM"],
    ["rename", RENAME, "EBUSY"],
    ["rename", RENAME, "EACCES"],
    ["rename", RENAME, "ENOSYS"],
    ["fsync", "fsync,fdatasync", "EINVAL"],
    ["fsync", "fsync,fdatasync", "ENOSYS"],
    ["fsync", "fsync,fdatasync", "EOPNOTSUPP"],
    ["fchmod", "fchmod", "EPERM"],
    ["fchown", "fchown", "EPERM"],
  ])("%s refused (%s) with %s: the token is spent once and the new one saved", async (_, calls, error) => {
    const { code, spent, kept, more, mode } = await renewal(calls, error);
    expect({ code, spent, kept, more }).toEqual({ code: 0, spent: ["rt_old"], kept: "rt_1", more: { kept: true } });
    // Where the mode can be set it is the owner's alone.
    if (error !== "EPERM" || calls !== "fchmod") expect(mode).toBe(0o600);
    expect(readdirSync(home).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
