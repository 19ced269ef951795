import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Binary } from "../support/binary.ts";
import { freePort } from "../support/ports.ts";

const SLOW_MS = 60_000;

/** Does what systemd's own does with the one unit that it knows, and notes what it was asked. */
const SYSTEMCTL = `#!/bin/sh
echo "$*" >>"$HOME/asked"
pid=$(cat "$HOME/main.pid" 2>/dev/null)
end() { [ -z "$pid" ] || { kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done; rm "$HOME/main.pid"; }; }
case "$*" in
"--user show --property=Version") echo Version=252 ;;
"--user show --property=MainPID --value plansocket.service") echo "\${pid:-0}" ;;
"--user restart plansocket.service")
  end
  set -a && . "$HOME/.config/plansocket/service.env" && set +a
  "$PROGRAM" serve >"$HOME/journal" 2>&1 &
  echo $! >"$HOME/main.pid" ;;
"--user disable --now plansocket.service") end ;;
esac
`;

let binary: Binary;
let home: string;
let port: string;
beforeAll(() => {
  binary = new Binary();
}, SLOW_MS);
afterAll(() => binary.remove());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-service-"));
  mkdirSync(join(home, "bin"));
  tool("systemctl", SYSTEMCTL);
  tool("systemd-run", "#!/bin/sh\nexit 0\n");
  tool("loginctl", "#!/bin/sh\necho no\n");
  port = String(freePort());
});
afterEach(async () => {
  await run(["uninstall"]);
  rmSync(home, { recursive: true, force: true });
});

const run = (args: string[], env: Record<string, string> = {}) =>
  binary.run(home, ["service", ...args], { PATH: `${join(home, "bin")}:/usr/bin:/bin`, PROGRAM: binary.path, ...env });
const unit = () => join(home, ".config/systemd/user/plansocket.service");
const settings = () => join(home, ".config/plansocket/service.env");
const asked = () => (existsSync(join(home, "asked")) ? readFileSync(join(home, "asked"), "utf8") : "");

function tool(name: string, script: string): void {
  writeFileSync(join(home, "bin", name), script);
  chmodSync(join(home, "bin", name), 0o755);
}

describe.skipIf(process.platform !== "linux")("service", () => {
  test(
    "is installed, answers, is installed anew with other settings, and goes without a trace",
    async () => {
      expect(await run(["status"])).toMatchObject({ code: 1, out: "There is no plansocket service here.\n" });
      const { code, out, err } = await run(["install", "--port", port, "--api-key", 'hunter"2'], {
        PLANSOCKET_STRICT: "on",
      });
      expect([code, out]).toEqual([0, ""]);
      expect(err).toContain(`The plansocket service runs on http://127.0.0.1:${port}.`);
      expect(err).toContain("loginctl enable-linger");
      expect(asked()).toContain("daemon-reload\n--user enable plansocket.service\n--user restart plansocket.service\n");

      expect(statSync(settings()).mode & 0o777).toBe(0o600);
      expect(readFileSync(settings(), "utf8")).toContain('PLANSOCKET_STRICT="on"');
      expect(readFileSync(unit(), "utf8")).toContain(`EnvironmentFile=${settings()}\n`);
      expect(readFileSync(unit(), "utf8") + err).not.toContain("hunter");
      const models = (key: string) =>
        fetch(`http://127.0.0.1:${port}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
      expect([(await models('hunter"2')).status, (await models("x")).status]).toEqual([200, 401]);

      const pid = Number(readFileSync(join(home, "main.pid"), "utf8"));
      const status = await run(["status", "--json"]);
      expect(status.code).toBe(0);
      expect(JSON.parse(status.out)).toMatchObject({ installed: true, running: true, pid, file: unit() });

      // The port is held by the service itself, which is replaced.
      expect((await run(["install", "--port", port])).code).toBe(0);
      expect((await models("x")).status).toBe(200);

      const plan = await run(["uninstall", "--dry-run"]);
      expect(plan.out).toStartWith("systemctl --user disable --now plansocket.service && rm ");
      expect(existsSync(unit())).toBe(true);
      expect(await run(["uninstall"])).toMatchObject({ code: 0 });
      expect([existsSync(unit()), existsSync(settings())]).toEqual([false, false]);
      expect(asked()).toEndWith("daemon-reload\n--user reset-failed plansocket.service\n");
      expect(await models("x").catch(() => "gone")).toBe("gone");
      expect(await run(["uninstall"])).toMatchObject({ code: 0, err: "There is no plansocket service here.\n" });
    },
    SLOW_MS,
  );

  test("a dry run shows everything but keys, and does nothing", async () => {
    const { code, out } = await run(["install", "--dry-run", "--port", port, "--api-key", "hunter2"]);
    expect(code).toBe(0);
    expect(out).toContain(`# ${unit()} (mode 644)\n[Unit]\n`);
    expect(out).toContain(`# ${settings()} (mode 600)\n`);
    expect(out).toContain('PLANSOCKET_API_KEY="(secret)"');
    expect(out).toEndWith("systemctl --user restart plansocket.service\n");
    expect(out).not.toContain("hunter2");
    expect([existsSync(unit()), existsSync(settings()), asked().includes("enable")]).toEqual([false, false, false]);
  });

  test("where user units get no file system of their own, the unit does without", async () => {
    expect((await run(["install", "--dry-run"])).out).toContain("ProtectSystem=strict");
    tool("systemd-run", "#!/bin/sh\nexit 226\n");
    expect((await run(["install", "--dry-run"])).out).not.toContain("ProtectSystem=strict");
  });

  test("without the system's tool it says what to run", async () => {
    const { code, err } = await run(["install", "--port", port], { PATH: "/nowhere" });
    expect(code).toBe(0);
    expect(err).toContain("There is no tool here to start it with; run:\n  systemctl --user daemon-reload && ");
    expect(existsSync(unit())).toBe(true);
    const removed = await run(["uninstall"], { PATH: "/nowhere" });
    expect(removed).toMatchObject({ code: 0, err: expect.stringContaining("also run: `systemctl --user disable") });
    expect(existsSync(unit())).toBe(false);
  });

  test("a tool that refuses is quoted, with what is still to be done", async () => {
    tool("systemctl", '#!/bin/sh\n[ "$2" != enable ] || { echo "Access denied" >&2; exit 1; }\n');
    const { code, err } = await run(["install", "--port", port]);
    expect(code).toBe(1);
    expect(err).toBe(
      "plansocket: `systemctl --user enable plansocket.service` failed: Access denied\n" +
        "  Once that is fixed, run: `systemctl --user enable plansocket.service && " +
        "systemctl --user restart plansocket.service`\n",
    );
  });

  describe("without a user manager, as in containers, su and cron (BANANASJIM/padctl#107)", () => {
    const NO_BUS =
      '#!/bin/sh\necho "$*" >>"$HOME/asked"\necho "Failed to connect to bus: No medium found" >&2\nexit 1\n';

    test("install writes nothing and points to start", async () => {
      tool("systemctl", NO_BUS);
      const { code, err } = await run(["install", "--port", port]);
      expect(code).toBe(1);
      expect(err).toContain("no systemd user manager here");
      expect(err).toContain("`plansocket start`");
      expect(err).toContain("enable-linger");
      expect([existsSync(unit()), existsSync(settings())]).toEqual([false, false]);
    });

    test("uninstall removes the files all the same", async () => {
      expect((await run(["install", "--port", port])).code).toBe(0);
      const pid = Number(readFileSync(join(home, "main.pid"), "utf8"));
      const wants = join(home, ".config/systemd/user/default.target.wants");
      mkdirSync(wants);
      symlinkSync(unit(), join(wants, "plansocket.service"));
      tool("systemctl", NO_BUS);
      const { code, err } = await run(["uninstall"]);
      expect([code, err]).toEqual([0, expect.stringContaining("or `plansocket stop`")]);
      expect([existsSync(unit()), existsSync(settings()), readdirSync(wants)]).toEqual([false, false, []]);
      process.kill(pid);
    });

    test("status says so, and whether a relay answers", async () => {
      expect((await run(["install", "--port", port])).code).toBe(0);
      const pid = Number(readFileSync(join(home, "main.pid"), "utf8"));
      tool("systemctl", NO_BUS);
      const running = await run(["status"]);
      expect(running.out).toBe(
        `There is no systemd user manager here, so no service runs. A relay answers on http://127.0.0.1:${port}.\n`,
      );
      process.kill(pid);
      await run(["uninstall"]);
      const { code, out } = await run(["status"], { PLANSOCKET_PORT: "1" });
      expect([code, out]).toEqual([1, expect.stringContaining("Nothing answers on http://127.0.0.1:1.")]);
      expect(JSON.parse((await run(["status", "--json"])).out)).toMatchObject({ manager_reachable: false });
    });
  });

  test("the unit names the link on PATH that outlives an upgrade, not the folder of one version", async () => {
    const link = join(home, "bin/plansocket");
    symlinkSync(binary.path, link);
    expect((await run(["install", "--dry-run"])).out).toContain(`ExecStart="${link}" "serve"\n`);
  });

  test("a port that somebody else holds is told before anything is written", async () => {
    const other = Bun.serve({ hostname: "127.0.0.1", port: Number(port), fetch: () => new Response() });
    try {
      const { code, err } = await run(["install", "--port", port]);
      expect([code, err]).toEqual([1, expect.stringContaining(`(pid ${process.pid})`)]);
      expect(existsSync(unit())).toBe(false);
    } finally {
      await other.stop(true);
    }
  });

  test("a login from the environment is not copied, and that is said", async () => {
    const { code, err } = await run(["install", "--port", port], { OPENAI_REFRESH_TOKEN: "rt-secret" });
    expect(code).toBe(0);
    expect(err).toContain("OPENAI_REFRESH_TOKEN is not handed to the service");
    expect(readFileSync(settings(), "utf8")).not.toContain("rt-secret");
  });

  test.each([
    [[], "install, uninstall or status"],
    [["instal"], "Did you mean 'service install'?"],
    [["install", "--prot", "1"], "Did you mean '--port'?"],
    [["install", "--port", "0"], "a port that stays the same"],
  ])("%j is wrong usage", async (args, message) => {
    expect(await run(args)).toMatchObject({ code: 2, err: expect.stringContaining(message) });
  });
});
