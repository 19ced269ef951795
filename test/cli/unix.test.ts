import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { CommandHome, type RunningCommand } from "../support/cli.ts";

const home = new CommandHome();
const socket = join(home.path, "relay.sock");
const flags = ["--unix", socket];
afterAll(() => home.remove());

describe.skipIf(process.platform === "win32")("commands with a relay on a Unix socket", () => {
  let relay: RunningCommand;
  beforeAll(async () => {
    relay = home.start(["demo", ...flags, "--base-path", "/relay"]);
    await relay.says(/fault:/);
  });
  afterAll(async () => {
    relay.kill();
    await relay.ended;
    expect(existsSync(socket)).toBe(false);
  });

  test("it says how to be called, and a shell's curl would find it", () => {
    expect(relay.said()).toContain(`listens on unix:${socket}:/relay`);
    expect(relay.said()).toContain(`curl --unix-socket ${socket} http://localhost/relay/v1/chat/completions`);
    expect(lstatSync(socket).mode & 0o777).toBe(0o600);
  });

  test.each([
    ["health", [], /answers on unix:.*relay\.sock:\/relay\n/],
    ["ask", ["hello"], /You said: “hello”/],
  ])("%s finds it", async (command, more, pattern) => {
    const { code, out, err } = await home.run([command, ...flags, "--base-path", "/relay", ...more]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(pattern);
  });

  test("health finds it by --url as well", async () => {
    const { code } = await home.run(["health", "--url", `unix:${socket}:/relay`]);
    expect(code).toBe(0);
    const nobody = await home.run(["health", "--unix", join(home.path, "nobody.sock")]);
    expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining("Nothing listens on unix:")]);
  });

  test("a second one is refused, and the first goes on", async () => {
    const { code, err } = await home.run(["demo", ...flags]);
    expect([code, err]).toEqual([1, expect.stringContaining(`Another program listens on ${socket}.`)]);
    expect((await home.run(["health", ...flags, "--base-path", "/relay"])).code).toBe(0);
  });

  test("what needs a port says so", async () => {
    const opened = await home.run(["open", "--print", ...flags]);
    expect([opened.code, opened.err]).toEqual([2, expect.stringContaining("A browser cannot open a Unix socket.")]);
    const set = await home.run(["setup", "env", ...flags]);
    expect([set.code, set.err]).toEqual([2, expect.stringContaining("Clients need a port")]);
    const tls = await home.run(["demo", ...flags, "--tls-cert", "c", "--tls-key", "k"]);
    expect([tls.code, tls.err]).toEqual([2, expect.stringContaining("--unix and --tls-cert do not go together.")]);
  });

  test("run and doctor have relays of their own, on a port", async () => {
    const script = "const { OPENAI_BASE_URL: at = '' } = process.env; console.log(at)";
    const ran = await home.run(["run", "--demo", "--", process.execPath, "-e", script], { PLANSOCKET_UNIX: socket });
    expect([ran.code, ran.out]).toEqual([0, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1\n$/)]);
    const doctor = await home.run(["doctor", "--json", ...flags, "--base-path", "/relay"]);
    expect(doctor.out).toContain(`already serves on ${socket}`);
  });
});

describe.skipIf(process.platform === "win32")("a background relay on a Unix socket", () => {
  const background = new CommandHome();
  const path = join(background.path, "bg.sock");
  afterAll(async () => {
    await background.run(["stop"]);
    background.remove();
  });

  test("starts, is shown, is replaced after kill -9, restarts and stops", async () => {
    const started = await background.run(["start", "--demo", "--unix", "bg.sock"]);
    expect([started.code, started.err]).toEqual([0, expect.stringContaining(`on unix:${path}`)]);
    const pid = async () => {
      const { out } = await background.run(["status", "--json"]);
      const { url, pid: number } = JSON.parse(out) as { url: string; pid: number };
      expect(url).toBe(`unix:${path}`);
      return number;
    };
    process.kill(await pid(), "SIGKILL");
    for (;;) if ((await background.run(["status"])).code === 1) break;
    expect(existsSync(path)).toBe(true);
    expect((await background.run(["start", "--demo", "--unix", "bg.sock"])).code).toBe(0);
    expect((await background.run(["restart"])).code).toBe(0);
    await pid();
    expect((await background.run(["stop"])).code).toBe(0);
    expect(existsSync(path)).toBe(false);
  }, 60_000);
});
