import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { RelayError } from "../../../src/lib/errors.ts";
import { SetupHome } from "../../support/setup.ts";

const SETTINGS = ".claude/settings.json";

let home: SetupHome;
beforeEach(() => void (home = new SetupHome()));
afterEach(() => home.remove());

const at = (name: string) => join(home.path, name);
const read = (name: string) => readFileSync(at(name), "utf8");

async function refusal(act: () => Promise<unknown>): Promise<RelayError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("undo takes back only setup's own values from a file that was edited since", () => {
  test("a JSON file that its client has written anew, with a value more", async () => {
    home.write({ [SETTINGS]: '{"theme":"dark","env":{"MINE":"1"}}' });
    await home.setup("claude-code");
    const now = JSON.parse(read(SETTINGS)) as Record<string, unknown>;
    writeFileSync(at(SETTINGS), JSON.stringify({ model: "opus", ...now, theme: "light" }, undefined, 4));
    await home.journal("claude-code").undo(false);
    expect(JSON.parse(read(SETTINGS))).toEqual({ model: "opus", theme: "light", env: { MINE: "1" } });
  });

  test("a value of setup's that its owner has changed is theirs", async () => {
    await home.setup("claude-code");
    writeFileSync(
      at(SETTINGS),
      read(SETTINGS).replace('"ANTHROPIC_MODEL": "gpt-6.1-sol"', '"ANTHROPIC_MODEL": "gpt-5.5"'),
    );
    await home.journal("claude-code").undo(false);
    expect(JSON.parse(read(SETTINGS))).toEqual({ env: { ANTHROPIC_MODEL: "gpt-5.5" } });
  });

  test("comments, commas and a remark beside setup's values stay", async () => {
    home.write({ [SETTINGS]: '{\n  // mine\n  "theme": "dark", // dark\n}\n' });
    await home.setup("claude-code");
    writeFileSync(at(SETTINGS), read(SETTINGS).replace("// mine", "// mine, edited"));
    await home.journal("claude-code").undo(false);
    expect(read(SETTINGS)).toBe('{\n  // mine, edited\n  "theme": "dark", // dark\n}\n');
  });

  test("files in other formats are edited by lines", async () => {
    home.write({ ".aider.conf.yml": "# mine\ndark-mode: true\n" });
    await home.setup("aider");
    writeFileSync(at(".aider.conf.yml"), `# edited\n${read(".aider.conf.yml").replace("# mine\n", "")}`);
    await home.journal("aider").undo(false);
    expect(read(".aider.conf.yml")).toBe("# edited\ndark-mode: true\n");
  });

  test("a file that setup made and that holds nothing else any more is removed", async () => {
    await home.setup("claude-code");
    const text = read(SETTINGS);
    writeFileSync(at(SETTINGS), JSON.stringify(JSON.parse(text)));
    await home.journal("claude-code").undo(false);
    expect(home.tree()).toEqual({});
  });
});

describe("undo takes setup's items out of lists that were edited since, one by one", () => {
  const LISTS = [
    ["droid", ".factory/settings.json", "customModels"],
    ["vscode", ".config/Code/User/chatLanguageModels.json", undefined],
    ["pi", ".pi/agent/models.json", undefined],
  ] as const;
  const THEIRS = { model: "theirs", name: "theirs", displayName: "theirs", provider: "openai" };

  /** What the client's file holds, with an entry more in its list. */
  function withTheirs(root: unknown, list: string | undefined): unknown {
    if (Array.isArray(root)) return [...(root as unknown[]), THEIRS];
    const fields = root as Record<string, unknown[]>;
    return list === undefined
      ? { ...fields, theirs: THEIRS }
      : { ...fields, [list]: [...(fields[list] ?? []), THEIRS] };
  }

  test.each(LISTS)("%s", async (client, file, list) => {
    await home.setup(client);
    // On one line, as a client that prints its settings anew may write them.
    writeFileSync(at(file), JSON.stringify(withTheirs(JSON.parse(read(file)), list)));
    await home.journal(client).undo(false);
    expect(read(file)).not.toContain("apiKey");
    const rest = JSON.parse(read(file)) as unknown;
    expect(rest).toEqual(withTheirs(Array.isArray(rest) ? [] : {}, list));
  });

  test("an entry that was there before comes back in its place", async () => {
    await home.setup("droid");
    const [first] = (JSON.parse(read(".factory/settings.json")) as { customModels: { displayName: string }[] })
      .customModels;
    const mine = { displayName: first?.displayName, model: "mine" };
    await home.journal("droid").undo(false);
    home.write({ ".factory/settings.json": JSON.stringify({ customModels: [mine] }) });
    await home.setup("droid");
    const now = JSON.parse(read(".factory/settings.json")) as unknown;
    writeFileSync(at(".factory/settings.json"), JSON.stringify(withTheirs(now, "customModels")));
    await home.journal("droid").undo(false);
    expect(JSON.parse(read(".factory/settings.json"))).toEqual({ customModels: [mine, THEIRS] });
  });

  test("an entry of setup's that its owner has edited is not guessed at", async () => {
    await home.setup("droid");
    writeFileSync(at(".factory/settings.json"), read(".factory/settings.json").replaceAll('"openai"', '"other"'));
    const before = read(".factory/settings.json");
    expect((await refusal(() => home.journal("droid").undo(false))).message).toContain("Nothing was changed");
    expect(read(".factory/settings.json")).toBe(before);
  });
});

test("where setup's values cannot be told from edits nothing is put back, and the message says where the copy is", async () => {
  home.write({ ".pi/agent/models.json": "{}", [SETTINGS]: '{"theme":"dark"}' });
  await home.setup("claude-code");
  writeFileSync(at(SETTINGS), "{ this is no JSON");
  const error = await refusal(() => home.journal("claude-code").undo(false));
  expect(error.message).toContain(`Edited since setup: ${at(SETTINGS)} (before: `);
  expect(error.hint).toContain("--force");
  const copy = /\(before: ([^)]+)\)/.exec(error.message)?.[1] ?? "";
  expect(readFileSync(copy, "utf8")).toBe('{"theme":"dark"}');
  expect(read(SETTINGS)).toBe("{ this is no JSON");
  await home.journal("claude-code").undo(true);
  expect(read(SETTINGS)).toBe('{"theme":"dark"}');
});

test("one file that is unclear keeps all files of the client as they are", async () => {
  await home.setup("pi");
  writeFileSync(at(".pi/agent/settings.json"), "[");
  const before = home.tree();
  await refusal(() => home.journal("pi").undo(false));
  expect(home.tree()).toEqual(before);
  await home.journal("pi").undo(true);
  expect(home.tree()).toEqual({});
});

test("a setup after an edit of one's own goes back to that edit", async () => {
  home.write({ [SETTINGS]: '{"theme":"dark"}' });
  await home.setup("claude-code");
  const mine = read(SETTINGS).replace("dark", "light").replace("gpt-6.1-sol", "gpt-5.5");
  writeFileSync(at(SETTINGS), mine);
  await home.setup("claude-code");
  await home.journal("claude-code").undo(false);
  expect(read(SETTINGS)).toBe(mine);
});

test("files put back by hand are nothing to refuse", async () => {
  home.write({ ".pi/agent/models.json": "{}" });
  const before = home.tree();
  await home.setup("pi");
  writeFileSync(at(".pi/agent/models.json"), "{}");
  rmSync(at(".pi/agent/settings.json"));
  await home.journal("pi").undo(false);
  expect(home.tree()).toEqual(before);
});

test("a file that its owner has deleted is not brought back without being asked to", async () => {
  home.write({ [SETTINGS]: "{}" });
  await home.setup("claude-code");
  rmSync(at(".claude"), { recursive: true });
  await refusal(() => home.journal("claude-code").undo(false));
  expect(home.tree()).toEqual({});
  await home.journal("claude-code").undo(true);
  expect(read(SETTINGS)).toBe("{}");
});

test("a symlink stays one, and the file that it leads to is what changes", async () => {
  home.write({ "dotfiles/claude.json": '{"theme":"dark"}' });
  mkdirSync(at(".claude"));
  symlinkSync("../dotfiles/claude.json", at(SETTINGS));
  const before = home.tree();
  await home.setup("claude-code");
  expect(readlinkSync(at(SETTINGS))).toBe("../dotfiles/claude.json");
  expect(read("dotfiles/claude.json")).toContain("ANTHROPIC_BASE_URL");
  await home.journal("claude-code").undo(false);
  expect(home.tree()).toEqual(before);
});

test("a symlink that leads nowhere is refused, not replaced", async () => {
  mkdirSync(at(".claude"));
  symlinkSync("../dotfiles/claude.json", at(SETTINGS));
  const error = await refusal(() => home.setup("claude-code"));
  expect(error.message).toContain("symlink to a file that does not exist");
  expect(lstatSync(at(SETTINGS)).isSymbolicLink()).toBe(true);
});

test("the mode of a file stays, a new file is its owner's alone, and so are copies", async () => {
  home.write({ ".pi/agent/models.json": "{}" });
  chmodSync(at(".pi/agent/models.json"), 0o664);
  await home.setup("pi");
  expect(Object.keys(home.tree()).filter((name) => !name.endsWith("/"))).toEqual([
    ".pi/agent/models.json 664",
    ".pi/agent/settings.json 600",
  ]);
  const kept = Object.keys(home.stateTree()).filter((name) => !name.endsWith("/"));
  expect(kept).toHaveLength(4);
  expect(kept.every((name) => name.endsWith(" 600"))).toBe(true);
});

test("a folder that setup made stays when something else is in it by then", async () => {
  await home.setup("claude-code");
  writeFileSync(at(".claude/history.jsonl"), "");
  await home.journal("claude-code").undo(false);
  expect(Object.keys(home.tree()).map((name) => name.replace(/ \d+$/, ""))).toEqual([
    ".claude/",
    ".claude/history.jsonl",
  ]);
});

test("the login of the Codex CLI is neither read nor written", async () => {
  home.write({ ".codex/auth.json": "not even JSON", ".codex/config.toml": "" });
  chmodSync(at(".codex/auth.json"), 0);
  const { mtimeMs, ino } = lstatSync(at(".codex/auth.json"));
  await home.setup("codex");
  await home.journal("codex").undo(false);
  expect(lstatSync(at(".codex/auth.json"))).toMatchObject({ mtimeMs, ino });
});

test("without a setup there is nothing to undo", async () => {
  expect((await refusal(() => home.journal("codex").undo(false))).message).toContain("nothing to undo");
});

describe("what cannot be read is refused with its place and changed nowhere", () => {
  test.each([
    ["claude-code", SETTINGS, '{\n  "a": 1\n  "b": 2\n}', "not valid JSON: expected , or } (line 3, column 3)"],
    ["claude-code", SETTINGS, '{"a": "x', "not valid JSON: a text without its closing quote (line 1, column 7)"],
    ["claude-code", SETTINGS, "[]", "expected an object in braces (line 1, column 1)"],
    ["claude-code", SETTINGS, "{'a': 1}", "expected a name in double quotes (line 1, column 2)"],
    ["claude-code", SETTINGS, "{} {}", "there is more text after the end (line 1, column 4)"],
    ["claude-code", SETTINGS, '{"a": nope}', "'nope' is no value (line 1, column 7)"],
    ["claude-code", SETTINGS, '{"env": []}', "has env in a form that setup does not edit"],
    [
      "openclaw",
      ".openclaw/openclaw.json",
      "{\n a: 1,\n b: }\n",
      "not valid JSON5: expected a value (line 3, column 5)",
    ],
    ["codex", ".codex/config.toml", 'a = 1\nb = "x\nc = 2\n', "not valid TOML"],
    ["codex", ".codex/config.toml", "a = 1\n\nb = [1,\n2\n", "(line 3)"],
    ["codex", ".codex/config.toml", "model_providers = {}\n", "has [model_providers.plansocket] in a form"],
    ["codex", ".codex/config.toml", "[profiles.plansocket]\nmodel = 'x'\n", "has [profiles.plansocket]"],
    ["codex", ".codex/config.toml", 'profile = "plansocket"\n', 'has profile = "plansocket"'],
    ["aider", ".aider.conf.yml", "model: x\nread: [a,\nb: c\n", "not valid YAML: it cannot be read (line 2)"],
    ["aider", ".aider.conf.yml", "- a\n- b\n", "not valid YAML: expected names with values at the top"],
    ["aider", ".aider.conf.yml", "{model: x}\n", "has openai-api-base in a form that setup does not edit"],
    ["continue", ".continue/config.yaml", "name: x\nmodels: [{name: a}]\n", "has models in a form"],
    ["continue", ".continue/config.yaml", "name: x\nmodels: none\n", "has models in a form"],
    ["continue", ".continue/config.json", "{}", "is in the old form"],
    [
      "hal",
      ".hal/config.yaml",
      "providers: &p {openai: {api_key: x}}\nagents: {}\n",
      "in a form that setup does not edit",
    ],
  ])("%s: %s %j", async (client, name, text, message) => {
    home.write({ [name]: text });
    const before = home.tree();
    const error = await refusal(() => home.setup(client));
    expect(error.message).toContain(message);
    expect(error.code).toBe("setup_failed");
    expect(error.hint).not.toBe("");
    expect(home.tree()).toEqual(before);
    expect(home.stateTree()).toEqual({});
  });

  test("a file that is no UTF-8", async () => {
    home.write({ [SETTINGS]: "" });
    writeFileSync(at(SETTINGS), new Uint8Array([0x7b, 0xff, 0x7d]));
    expect((await refusal(() => home.setup("claude-code"))).message).toContain("no UTF-8 text");
  });

  test("one bad file of two keeps the good one as it is", async () => {
    home.write({ ".pi/agent/models.json": "{}", ".pi/agent/settings.json": "{" });
    const before = home.tree();
    await refusal(() => home.setup("pi"));
    expect(home.tree()).toEqual(before);
  });
});

test("a byte order mark stays at the beginning", async () => {
  home.write({ [SETTINGS]: '\uFEFF{\n  "theme": "dark"\n}\n' });
  await home.setup("claude-code");
  expect(read(SETTINGS)).toStartWith('\uFEFF{\n  "theme": "dark",\n  "env": {');
});
