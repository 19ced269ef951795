import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/command-table.ts";
import { completionData, SHELLS } from "../../src/cli/completions.ts";
import { flagRows } from "../../src/cli/flag-rows.ts";
import { commandHelp, rootHelp } from "../../src/cli/help.ts";
import { manPage } from "../../src/cli/man.ts";
import { SETTINGS, type Setting } from "../../src/config/settings.ts";
import { CommandHome } from "../support/cli.ts";

const entries = Object.entries(COMMANDS);
const home = new CommandHome();
afterAll(() => home.remove());

describe("help", () => {
  test("of the program lists every command once, under a heading", () => {
    const lines = rootHelp(80).split("\n");
    for (const [name] of entries) expect(lines.filter((line) => line.startsWith(`  ${name} `))).toHaveLength(1);
    for (const title of ["Start a relay", "Connect programs", "Look", "Account"]) expect(lines).toContain(title);
  });

  test.each(entries)("of %s says what it does, shows two examples and few flags", async (name, entry) => {
    const help = await commandHelp(name, entry, false, 80);
    expect(help.split("\n").filter((line) => /^ {2}(\S.* \| )?plansocket (?!.*`$)/.test(line))).toHaveLength(2);
    const flags = help.split("\n").filter((line) => /^ {2}(-\w, )?--/.test(line));
    expect(flags.length).toBeLessThanOrEqual(17);
  });

  test.each(entries)("of %s with --all shows every flag that it takes", async (name, entry) => {
    const help = await commandHelp(name, entry, true, 80);
    for (const { flag } of await flagRows(await entry.load())) expect(help).toContain(flag);
  });

  test.each([20, 40, 60, 100, 300])("keeps to %d columns", async (width) => {
    const texts = [
      rootHelp(width),
      ...(await Promise.all(entries.map(([name, entry]) => commandHelp(name, entry, true, width)))),
    ];
    for (const line of texts.join("\n").split("\n")) {
      // Commands to copy and single words are not broken.
      if (line.length > width) expect(line).toMatch(/^ {2}\S.*plansocket|^ *\S+$|^ {2}plansocket|^ {2}-|^`[^`]+`$/);
    }
  });

  test("has colors on a terminal only, and none with NO_COLOR or TERM=dumb (direnv/direnv#1551)", async () => {
    const plain = await home.run(["--help"]);
    expect(plain.out).not.toContain("\u001b");
    expect((await home.onTerminal(["--help"], "", { TERM: "xterm-256color" })).screen).toContain("\u001b[1m");
    for (const env of [{ TERM: "dumb" }, { TERM: "" }, { NO_COLOR: "1" }]) {
      expect((await home.onTerminal(["--help"], "", env)).screen).not.toContain("\u001b");
    }
  });

  test.each([
    ["statu", "Did you mean 'status'?"],
    ["stauts", "Did you mean 'status'?"],
    ["log", "Did you mean 'logs'?"],
    ["Serve", "Did you mean 'serve'?"],
    ["hlep", "Did you mean 'help'?"],
    ["frobnicate", "`plansocket --help` lists the commands."],
    ["x", "`plansocket --help` lists the commands."],
  ])("an unknown command %s is answered with %s", async (name, hint) => {
    const { code, err } = await home.run([name]);
    expect([code, err]).toEqual([2, `plansocket: Unknown command '${name}'.\n  ${hint}\n`]);
  });

  test.each([
    ["--hlep", "Unknown flag '--hlep'.", "Did you mean '--help'?"],
    ["--vesion", "Unknown flag '--vesion'.", "Did you mean '--version'?"],
    ["-x", "Unknown flag '-x'.", "`plansocket --help` lists the commands; flags come behind them."],
    ["--port=9", "--port comes before the command.", "Write the command first, as in `plansocket serve --port …`."],
    ["-p", "-p comes before the command.", "Write the command first, as in `plansocket serve -p …`."],
  ])("a flag in a command's place: %s", async (word, message, hint) => {
    const { code, err } = await home.run([word, "9"]);
    expect([code, err]).toEqual([2, `plansocket: ${message}\n  ${hint}\n`]);
  });
});

describe("completions", () => {
  test.each(Object.keys(SHELLS))("for %s name every command and every flag", async (shell) => {
    const script = SHELLS[shell]?.(await completionData()) ?? "";
    for (const [name] of entries) expect(script).toContain(name);
    for (const flag of Object.values<Setting>(SETTINGS).flatMap(({ flags }) => flags.slice(0, 1))) {
      expect(script).toContain(shell === "fish" ? `-l ${flag.slice(2)} ` : flag);
    }
  });

  test("for bash complete commands and flags", async () => {
    const { out } = await home.run(["completions", "bash"]);
    const complete = (words: readonly string[]) => {
      const list = words.map((word) => `'${word}'`).join(" ");
      const script = `${out}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _plansocket; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return Bun.spawnSync(["bash", "-c", script]).stdout.toString().trim().split("\n");
    };
    expect(complete(["plansocket", "sta"])).toEqual(["start", "status"]);
    expect(complete(["plansocket", "logs", "--fo"])).toEqual(["--follow"]);
    expect(complete(["plansocket", "service", "un"])).toEqual(["uninstall"]);
  });

  test.skipIf(!Bun.which("fish"))("for fish complete commands, operands and flags (needs fish)", async () => {
    const script = join(home.path, "plansocket.fish");
    writeFileSync(script, (await home.run(["completions", "fish"])).out);
    const complete = (line: string) => {
      const { stdout, stderr } = Bun.spawnSync(
        ["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', script, line],
        { env: { HOME: home.path, PATH: process.env["PATH"] ?? "" } },
      );
      expect(stderr.toString()).toBe("");
      return Array.from(stdout.toString().matchAll(/^\S+/gm), ([word]) => word);
    };
    expect(complete("plansocket serv")).toEqual(["serve", "service"]);
    expect(complete("plansocket service un")).toEqual(["uninstall"]);
    expect(complete("plansocket setup clau")).toEqual(["claude-code", "claude-desktop"]);
    expect(complete("plansocket logs --fo")).toEqual(["--follow"]);
  });

  test.skipIf(!Bun.which("zsh"))("for zsh complete commands, operands and flags (needs zsh)", async () => {
    const script = join(home.path, "plansocket.zsh");
    writeFileSync(script, (await home.run(["completions", "zsh"])).out);
    let screen = "";
    const child = Bun.spawn(["zsh", "-f", "-i"], {
      cwd: home.path,
      env: { HOME: home.path, PATH: process.env["PATH"] ?? "", TERM: "dumb" },
      terminal: { cols: 200, rows: 50, data: (_, data) => void (screen += new TextDecoder().decode(data)) },
    });
    const type = (text: string) => void child.terminal?.write(text);
    // The command that is completed says what it was called with.
    type(`plansocket() { echo "called: $*." }; autoload -U compinit; compinit -u -D; source ${script}\r`);
    for (const begun of ["dem", "service un", "setup claude-d", "logs --fol"]) type(`plansocket ${begun}\t\r`);
    type("exit\r");
    await child.exited;
    child.terminal?.close();
    const called = Array.from(screen.matchAll(/called: ([^$.]*?) ?\./g), ([, words]) => words);
    expect(called).toEqual(["demo", "service uninstall", "setup claude-desktop", "logs --follow"]);
  });

  test("for an unknown shell are refused", async () => {
    expect(await home.run(["completions", "fis"])).toMatchObject({ code: 2, err: expect.stringContaining("'fish'") });
    expect((await home.run(["completions"])).err).toContain("A shell is missing.");
  });
});

test.skipIf(!Bun.which("mandoc"))("the manual page is one without errors (needs mandoc)", async () => {
  const path = join(home.path, "plansocket.1");
  writeFileSync(path, (await home.run(["man"])).out);
  const { exitCode, stdout } = Bun.spawnSync(["mandoc", "-T", "lint", "-W", "error", path]);
  expect([exitCode, stdout.toString()]).toEqual([0, ""]);
});

test("the manual page names every command, setting and variable", async () => {
  const page = (await manPage()).replaceAll("\\-", "-");
  for (const [name] of entries) expect(page).toContain(`\n.B ${name}`);
  for (const { flags, env } of Object.values<Setting>(SETTINGS)) {
    for (const name of [...flags, ...env]) expect(page).toContain(name);
  }
});
