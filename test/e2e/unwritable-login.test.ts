import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";
import { bindToItself, canMount, remount, unmount } from "../support/mounts.ts";

/** Needs the right to mount (root, on Linux). */
describe.skipIf(!canMount())("with an ended token in a read-only folder", () => {
  let backend: StandIn;
  let home: CommandHome;
  let folder: string;

  beforeEach(() => {
    backend = startStandIn();
    home = new CommandHome({
      PLANSOCKET_ISSUER: backend.origin,
      PLANSOCKET_BASE_URL: `${backend.origin}/backend-api/codex`,
    });
    folder = join(home.path, ".codex");
    mkdirSync(folder, { recursive: true });
    const { authJson } = backend.issueLogin({ expiresInMs: -60_000 });
    writeFileSync(join(folder, "auth.json"), JSON.stringify(authJson), { mode: 0o600 });
    bindToItself(folder);
    remount(folder, "ro");
  });
  afterEach(async () => {
    unmount(folder);
    await backend.stop();
    home.remove();
  });

  test.each([[["usage"]], [["run", "--", "env"]]])(
    "%j refuses, names the folder and both ways out, and spends no refresh token (rappdw/sandy#238)",
    async (args) => {
      const { code, err } = await home.run(args);
      expect(code).toBe(1);
      expect(err).toContain(`could not be saved in ${folder} (read-only file system, EROFS)`);
      expect(err).toContain("mount it without :ro");
      expect(err).toContain("plansocket login --auth-file FILE");
      expect(backend.counts.refreshes).toBe(0);
    },
    20_000,
  );

  test.each([[["models"]], [["setup", "aider", "--dry-run"]]])(
    "%j shows the list that came with the program and says so",
    async (args) => {
      const { code, err, out } = await home.run(args);
      expect([code, err]).toEqual([0, expect.stringContaining("Shown are those that came with plansocket.")]);
      expect(out).toContain("gpt-");
      expect(backend.counts.refreshes).toBe(0);
    },
    20_000,
  );

  test("doctor fails and says why", async () => {
    const { code, out } = await home.run(["doctor", "--json"]);
    const report = JSON.parse(out) as { checks: { id: string; status: string; summary: string; fix?: string }[] };
    expect(code).toBe(1);
    expect(report.checks.find(({ id }) => id === "storage")).toMatchObject({
      status: "fail",
      summary: expect.stringContaining(folder),
      fix: expect.stringContaining("login of its own"),
    });
    expect(backend.counts.refreshes).toBe(0);
  }, 30_000);

  test("serve renews into memory, saves once the folder is writable, and loses nothing", async () => {
    const serve = home.start(["serve", "--port", "0", "--log-format", "json"]);
    await serve.says(/A renewed login could not be saved here/);
    const [, url] = await serve.says(/listens on (\S+)/);
    const ask = () =>
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] }),
      });
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(200);
    expect(backend.counts.refreshes).toBe(1);
    const before = readFileSync(join(folder, "auth.json"), "utf8");
    remount(folder, "rw");
    serve.kill("SIGTERM");
    expect((await serve.ended).code).toBe(0);
    expect(readFileSync(join(folder, "auth.json"), "utf8")).not.toBe(before);
    expect((await home.run(["usage"])).code).toBe(0);
    expect(backend.counts.refreshes).toBe(1);
  }, 30_000);

  test("serve that stops before it could save says that the login is lost, and what to do", async () => {
    const serve = home.start(["serve", "--port", "0", "--log-format", "json"]);
    await serve.says(/could not be saved yet/);
    serve.kill("SIGTERM");
    expect((await serve.ended).err).toMatch(/is lost with this process.*plansocket login/);
  }, 30_000);
});
