import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { columnsOf, padded, widestOf, wrapText } from "../../src/cli/wrap.ts";
import { CommandHome } from "../support/cli.ts";

const home = new CommandHome();
afterAll(() => home.remove());

test("columns are filled up by what a terminal shows: letters of two columns, marks of none", () => {
  expect(widestOf(["abc", "模型", "e\u0301"])).toBe(4);
  expect(["abc", "模型", "e\u0301", "longer"].map((text) => `${padded(text, 5)}|`)).toEqual([
    "abc  |",
    "模型 |",
    "e\u0301    |",
    "longer|",
  ]);
});

describe("text for people", () => {
  test.each([
    ["a line that fits", "short enough", "short enough"],
    [
      "a sentence",
      "The backend could not be asked, so this is the built-in list.",
      "The backend could not be asked, so this\nis the built-in list.",
    ],
    [
      "an indented hint",
      "  Stop that program, or choose another port with --port.",
      "  Stop that program, or choose another\n  port with --port.",
    ],
    [
      "a label and its text",
      "  login     There is no login in ~/.codex/auth.json.",
      "  login     There is no login in\n            ~/.codex/auth.json.",
    ],
    [
      "a command between backticks",
      "Start it with `plansocket restart --port 9000` now.",
      "Start it with\n`plansocket restart --port 9000` now.",
    ],
    [
      "a URL that is too long",
      `Go to https://auth.example.com/${"x".repeat(30)} now.`,
      `Go to\nhttps://auth.example.com/${"x".repeat(30)}\nnow.`,
    ],
    [
      "a label too long for a column",
      "--- a file of a very long name  and text beside it",
      "--- a file of a very long name  and text\nbeside it",
    ],
    ["several lines", "one\n\n  two", "one\n\n  two"],
    [
      "a backtick of its own",
      `It is a \` alone ${"x ".repeat(14)}end`,
      `It is a \` alone ${"x ".repeat(12).trim()}\nx x end`,
    ],
    [
      "colors, which take no columns",
      `\u001b[32m✓\u001b[0m login            a login that is too long`,
      `\u001b[32m✓\u001b[0m login            a login that is too\n                   long`,
    ],
  ])("wraps %s", (_, text, wrapped) => {
    expect(wrapText(text, 40)).toBe(wrapped);
  });

  test("keeps a path whole whose folder has a blank in its name", () => {
    const text = "That file /home/John Doe/.codex/auth.json could not be read.";
    expect(wrapText(text, 40, ["/home/John Doe"])).toBe(
      "That file\n/home/John Doe/.codex/auth.json could\nnot be read.",
    );
  });

  test("is as wide as COLUMNS, else the terminal says, and never below 20", () => {
    expect(columnsOf({ columns: 60 }, { COLUMNS: "72" })).toBe(72);
    for (const junk of ["", "0", "-5", "wide"]) expect(columnsOf({ columns: 60 }, { COLUMNS: junk })).toBe(60);
    expect(columnsOf({ columns: 12 }, {})).toBe(20);
    expect(columnsOf({ columns: 0 }, {})).toBe(80);
  });
});

/** Lines that may stand out: one word, a command between backticks, or a command to copy; with a label before it. */
const WHOLE = /^( *(\S+ )*?\S* {2,}| *)(\S+|\S*`[^`]*`\S*|plansocket .*)$/;

describe.each([20, 40, 60, 100])("on a terminal of %d columns", (columns) => {
  const env = { PLANSOCKET_BASE_URL: "http://127.0.0.1:9/x", PLANSOCKET_ISSUER: "http://127.0.0.1:9" };

  test.each([
    [],
    ["status"],
    ["setup"],
    ["setup", "nobody"],
    ["doctor", "-p", "0"],
    ["usage"],
    ["logs"],
    ["serve", "--host", "203.0.113.9", "--api-key", "k".repeat(20)],
    ["serve", "-p", "99999"],
    ["logout"],
    ["keys", "list"],
    ["service", "status"],
    ["update", "--check", "--repository", "nobody"],
  ])("%j keeps to its width", async (...words) => {
    const { screen } = await home.onTerminal(words, "n\r", env, columns);
    const lines = Bun.stripANSI(screen).split(/\r?\n/);
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) if (line.length > columns) expect(line).toMatch(WHOLE);
  });
});

test("what a log says at a start is wrapped, but for the command to copy", async () => {
  const folder = join(home.path, "logs");
  mkdirSync(folder);
  const curl = `  curl http://127.0.0.1:8787/v1/chat/completions -d '{"model":"gpt-5.5"}'`;
  const said = `plansocket demo listens on http://127.0.0.1:8787: no login is used\n${curl}\n`;
  writeFileSync(join(folder, "plansocket.log"), said);
  const { screen } = await home.onTerminal(["logs", "--state-dir", folder], "", {}, 40);
  expect(screen.split(/\r?\n/)).toEqual([
    "plansocket demo listens on",
    "http://127.0.0.1:8787: no login is used",
    curl,
    "",
  ]);
});

test("a pipe gets each line whole, whatever COLUMNS says", async () => {
  const { err } = await home.run(["serve", "--host", "203.0.113.9", "--api-key", "secret-key"], { COLUMNS: "40" });
  expect(err).toContain("203.0.113.9 is no address of this machine (EADDRNOTAVAIL).\n");
  const status = await home.run(["status"], { COLUMNS: "40" });
  expect(status.err).toMatch(/ {2}login {5}There is no login in .* Run `plansocket login` .*\n/);
});
