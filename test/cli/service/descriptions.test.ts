import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readEnvFile, toEnvFile } from "../../../src/cli/service/env-file.ts";
import { launchd, plistText } from "../../../src/cli/service/launchd.ts";
import { refuseCache, type ServicePlan } from "../../../src/cli/service/plan.ts";
import { stablePath } from "../../../src/cli/service/stable-path.ts";
import { commandLine } from "../../../src/cli/service/steps.ts";
import { systemd, unitText } from "../../../src/cli/service/systemd.ts";
import { scheduledTask, taskText } from "../../../src/cli/service/task.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-service-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const plan = (over: Partial<ServicePlan> = {}): ServicePlan => ({
  command: ["/bin/true"],
  envFile: "/home/dev/.config/plansocket/service.env",
  variables: { PLANSOCKET_API_KEY: "hunter2" },
  stateDir: "/home/dev/.local/state/plansocket",
  stateFile: "/home/dev/.local/state/plansocket/background.json",
  logFile: "/home/dev/.local/state/plansocket/plansocket.log",
  stopLimitMs: 40_000,
  writableFolders: ["/home/dev/.local/state/plansocket", "/home/dev/.codex"],
  ...over,
});

/** Paths with everything that has a meaning to somebody. */
const ODD = plan({
  command: ['/opt/it\'s 100% "$HOME" & <co>/plansocket', "/src/main.ts"],
  envFile: "/home/a b/100%/service.env",
  writableFolders: ["/home/a b/.codex", "/srv/100%"],
});

describe("the path that a service names", () => {
  const executable = (path: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    return path;
  };

  test("is Homebrew's opt link, which the next version keeps", () => {
    const path = executable(join(folder, "Cellar/plansocket/1.0.0/bin/plansocket"));
    expect(stablePath(path, "")).toBe(path);
    mkdirSync(join(folder, "opt"));
    symlinkSync(join(folder, "Cellar/plansocket/1.0.0"), join(folder, "opt/plansocket"));
    mkdirSync(join(folder, "bin"));
    symlinkSync(path, join(folder, "bin/plansocket"));
    expect(stablePath(path, join(folder, "bin"))).toBe(join(folder, "opt/plansocket/bin/plansocket"));
  });

  test("is never in the cache of npx", () => {
    const path = "/home/dev/.npm/_npx/0a1b/node_modules/plansocket-linux-x64/bin/plansocket";
    expect(() => refuseCache(path)).toThrow("cache of npx");
    expect(() => refuseCache("/usr/lib/node_modules/plansocket-linux-x64/bin/plansocket")).not.toThrow();
  });

  test("is the link on PATH that leads to this very program", () => {
    const path = executable(join(folder, "versions/1.0.0/plansocket"));
    const other = dirname(executable(join(folder, "other/plansocket")));
    mkdirSync(join(folder, "bin"));
    symlinkSync(path, join(folder, "bin/plansocket"));
    expect(stablePath(path, `relative:${other}:${folder}/bin`)).toBe(join(folder, "bin/plansocket"));
    expect(stablePath(path, other)).toBe(path);
  });
});

describe("the environment file", () => {
  const VALUES = {
    PLAIN: "9000",
    EMPTY: "",
    QUOTES: `it's "quoted"`,
    SHELL: "$HOME `id` \\n \\\\ $(id)",
    LINES: "one\ntwo\n\nfour",
    HASH: "# no comment",
  };

  test("is read back as it was written", async () => {
    const path = join(folder, "env");
    writeFileSync(path, toEnvFile(VALUES));
    expect(await readEnvFile(path)).toEqual(VALUES);
    expect(await readEnvFile(join(folder, "none"))).toEqual({});
  });

  test.each(Object.entries(VALUES))("means the same to a shell: %s", (name, value) => {
    const path = join(folder, "env");
    writeFileSync(path, toEnvFile(VALUES));
    const { stdout } = Bun.spawnSync(["sh", "-c", `set -a && . "$0" && exec printenv ${name}`, path]);
    expect(stdout.toString()).toBe(`${value}\n`);
  });
});

describe("the systemd unit", () => {
  test.skipIf(!Bun.which("systemd-analyze")).each([
    ["usual", plan(), true],
    ["without a file system of its own", plan(), false],
    ["with odd paths", { ...ODD, command: ["/bin/true", ...ODD.command] }, true],
  ])("is good in systemd's own eyes: %s", (_name, of, hasSandbox) => {
    const path = join(folder, "plansocket.service");
    writeFileSync(path, unitText(of, hasSandbox));
    const { exitCode, stderr } = Bun.spawnSync(["systemd-analyze", "--user", "verify", path], {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, XDG_RUNTIME_DIR: folder },
    });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });

  test.skipIf(!Bun.which("systemd-analyze"))("and a mistake in it would be seen", () => {
    const path = join(folder, "plansocket.service");
    writeFileSync(path, unitText(plan(), true).replace("ProtectSystem=strict", "ProtectSystem=strictly"));
    const { stderr } = Bun.spawnSync(["systemd-analyze", "--user", "verify", path], {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, XDG_RUNTIME_DIR: folder },
    });
    expect(stderr.toString()).toContain("strictly");
  });

  test("writes nothing but state and login, and lets JavaScript be compiled", () => {
    const text = unitText(plan(), true);
    expect(text).toContain('ReadWritePaths="/home/dev/.local/state/plansocket" "/home/dev/.codex"\n');
    for (const line of ["NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "PrivateTmp=yes"]) {
      expect(text).toContain(`\n${line}\n`);
    }
    expect(text).not.toMatch(/^MemoryDenyWriteExecute/m);
    const plain = unitText(plan(), false);
    expect(plain).not.toMatch(/^(Protect|ReadWrite|PrivateTmp)/m);
    expect(plain).toContain("\nNoNewPrivileges=yes\n");
    // Its own folder for temporary files would hide the program.
    expect(unitText(plan({ command: ["/tmp/build/plansocket"] }), true)).not.toContain("PrivateTmp");
  });

  test("takes odd paths literally", () => {
    const text = unitText(ODD, true);
    expect(text).toContain(
      'ExecStart="/opt/it\'s 100%% \\"$$HOME\\" & <co>/plansocket" "/src/main.ts" "serve"\n' +
        "EnvironmentFile=/home/a b/100%%/service.env\n",
    );
    expect(text).toContain('ReadWritePaths="/home/a b/.codex" "/srv/100%%"\n');
  });
});

describe("the launchd agent", () => {
  test.skipIf(!Bun.which("python3"))("is a property list of the words that are meant", () => {
    const program = "import json, plistlib, sys; print(json.dumps(plistlib.load(sys.stdin.buffer)))";
    const { stdout } = Bun.spawnSync(["python3", "-c", program], { stdin: new Blob([plistText(ODD)]) });
    expect(JSON.parse(stdout.toString())).toMatchObject({
      Label: "plansocket",
      ProgramArguments: ["/bin/sh", "-c", expect.any(String), "plansocket", ODD.envFile, ...ODD.command],
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      Umask: 0o077,
    });
  });

  test("runs the program with the settings of the file, its log appended", () => {
    const envFile = join(folder, "service.env");
    const log = join(folder, "a log");
    const program = join(folder, "program's");
    writeFileSync(envFile, toEnvFile({ PLANSOCKET_API_KEY: "k $1", PLANSOCKET_LOG_FILE: log }));
    writeFileSync(program, '#!/bin/sh\necho "$PLANSOCKET_API_KEY $*"; echo said >&2\n', { mode: 0o755 });
    writeFileSync(log, "before\n");
    const words = [
      ...plistText(plan({ command: [program, "main.ts"], envFile })).matchAll(/^ {4}<string>(.*)<\/string>$/gm),
    ];
    const unescape = (text: string) =>
      text.replace(
        /&(quot|amp|apos|gt|lt);/g,
        (entity) => ({ "&quot;": '"', "&amp;": "&", "&apos;": "'", "&gt;": ">" })[entity] ?? "<",
      );
    const { stdout, exitCode } = Bun.spawnSync(words.map(([, word]) => unescape(word ?? "")));
    expect([exitCode, stdout.toString()]).toEqual([0, "k $1 main.ts serve\n"]);
    expect(Bun.spawnSync(["cat", log]).stdout.toString()).toBe("before\nsaid\n");
  });
});

test.skipIf(!Bun.which("python3"))("the scheduled task is XML that starts what was saved", () => {
  const program =
    "import json, sys, xml.etree.ElementTree as E\n" +
    "print(json.dumps({e.tag.split('}')[1]: e.text for e in E.fromstring(sys.stdin.buffer.read()).iter()}))";
  const { content } = scheduledTask("C:\\state", "PC\\R&D").describe(ODD);
  const { stdout } = Bun.spawnSync(["python3", "-c", program], { stdin: new Blob([content]) });
  expect(JSON.parse(stdout.toString())).toMatchObject({
    Command: ODD.command[0],
    Arguments: `"/src/main.ts" "restart" "--state-file" "${ODD.stateFile}"`,
    UserId: "PC\\R&D",
    LogonType: "InteractiveToken",
  });
});

test("no description holds a key", () => {
  for (const text of [unitText(plan(), true), plistText(plan()), taskText(plan(), "dev")]) {
    expect(text).not.toContain("hunter2");
  }
});

test("commands are told as they can be typed", () => {
  expect(commandLine(systemd("/home/dev/.config", true).install)).toBe(
    "systemctl --user daemon-reload && systemctl --user enable plansocket.service && systemctl --user restart plansocket.service",
  );
  expect(commandLine(launchd("/Users/R D", 501).install.slice(2))).toBe(
    "launchctl bootstrap gui/501 '/Users/R D/Library/LaunchAgents/plansocket.plist'",
  );
});
