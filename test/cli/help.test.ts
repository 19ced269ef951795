import { afterAll, describe, expect, test } from "bun:test";
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

  test.each([40, 60, 100])("keeps to %d columns", async (width) => {
    const texts = [
      rootHelp(width),
      ...(await Promise.all(entries.map(([name, entry]) => commandHelp(name, entry, true, width)))),
    ];
    for (const line of texts.join("\n").split("\n")) {
      // Commands to copy and single words are not broken.
      if (line.length > width) expect(line).toMatch(/^ {2}\S.*plansocket|^ *\S+$|^ {2}plansocket|^Usage|^ {2}-/);
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
    ["frobnicate", "`plansocket --help` lists the commands."],
    ["x", "`plansocket --help` lists the commands."],
  ])("an unknown command %s is answered with %s", async (name, hint) => {
    const { code, err } = await home.run([name]);
    expect([code, err]).toEqual([2, `plansocket: Unknown command '${name}'.\n  ${hint}\n`]);
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

  test("for an unknown shell are refused", async () => {
    expect(await home.run(["completions", "fis"])).toMatchObject({ code: 2, err: expect.stringContaining("'fish'") });
    expect((await home.run(["completions"])).err).toContain("A shell is missing.");
  });
});

test("the manual page names every command, setting and variable", async () => {
  const page = (await manPage()).replaceAll("\\-", "-");
  for (const [name] of entries) expect(page).toContain(`\n.B ${name}`);
  for (const { flags, env } of Object.values<Setting>(SETTINGS)) {
    for (const name of [...flags, ...env]) expect(page).toContain(name);
  }
});
