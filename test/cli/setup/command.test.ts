import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { demoHome } from "../../support/demo-home.ts";

const demo = demoHome(({ accessToken }) => ({ OPENAI_ACCESS_TOKEN: accessToken }));

const at = (name: string) => join(demo.home.path, name);

test("--dry-run shows every file before and after, and writes none", async () => {
  const { code, out, err } = await demo.home.run(["setup", "codex", "--dry-run", "--port", "9000"]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toBe(
    [
      "--- (new file)",
      `+++ ${at(".codex/config.toml")}`,
      "+ [model_providers.plansocket]",
      '+ name = "plansocket"',
      '+ base_url = "http://127.0.0.1:9000/v1"',
      '+ wire_api = "responses"',
      "+ supports_websockets = true",
      "--- (new file)",
      `+++ ${at(".codex/plansocket.config.toml")}`,
      '+ model = "gpt-6.2-sol"',
      '+ model_provider = "plansocket"',
      "",
    ].join("\n"),
  );
  expect(existsSync(at(".codex"))).toBe(false);
});

test("--as-builtin previews, writes and takes back a profile that leads the built-in provider to the relay", async () => {
  const preview = await demo.home.run(["setup", "codex", "--as-builtin", "--dry-run", "--port", "9000"]);
  expect(preview.out).toBe(
    [
      "--- (new file)",
      `+++ ${at(".codex/plansocket.config.toml")}`,
      '+ model = "gpt-6.2-sol"',
      '+ model_provider = "openai"',
      '+ openai_base_url = "http://127.0.0.1:9000/v1"',
      '+ chatgpt_base_url = "http://127.0.0.1:9000/backend-api/"',
      "+",
      "+ [features]",
      "+ apps = false",
      "+ plugins = false",
      "",
    ].join("\n"),
  );
  expect(existsSync(at(".codex"))).toBe(false);
  const done = await demo.home.run(["setup", "codex", "--as-builtin", "--yes"]);
  expect(done.code).toBe(0);
  expect(done.err).toContain("codex --profile plansocket");
  const profile = at(".codex/plansocket.config.toml");
  expect(readFileSync(profile, "utf8")).toContain('model_provider = "openai"');
  // What its owner has added since stays.
  writeFileSync(profile, `${readFileSync(profile, "utf8")}js_repl = true\n`);
  expect((await demo.home.run(["setup", "codex", "--undo"])).code).toBe(0);
  expect(readFileSync(profile, "utf8")).toBe("[features]\njs_repl = true\n");
  rmSync(at(".codex"), { recursive: true });
});

test("copies are spoken of where there are any: a new file has no older form", async () => {
  const first = await demo.home.run(["setup", "hermes", "--yes"]);
  expect(first.err).toContain("To go back: `plansocket setup hermes --undo`");
  expect(first.err).not.toContain("Copies");
  await demo.home.run(["setup", "hermes", "--undo"]);
  mkdirSync(at(".hermes"), { recursive: true });
  writeFileSync(at(".hermes/config.yaml"), "mine: 1\n");
  expect((await demo.home.run(["setup", "hermes", "--yes"])).err).toContain("Copies of files as they were: ");
  rmSync(at(".hermes"), { recursive: true });
});

test("keys in a preview are masked, those of others too, and unchanged parts are left out", async () => {
  mkdirSync(at(".qwen"));
  const others = Array.from({ length: 9 }, (_, index) => `  "x${index}": ${index},`).join("\n");
  writeFileSync(at(".qwen/settings.json"), `{\n${others}\n  "apiKey": "sk-mine"\n}\n`);
  const { out } = await demo.home.run(["setup", "qwen-code", "--dry-run"], { PLANSOCKET_API_KEY: "relay-secret" });
  expect(out).not.toContain("sk-mine");
  expect(out).not.toContain("relay-secret");
  expect(out).toContain('-   "apiKey": "••••"');
  expect(out).toContain('+       "apiKey": "••••"');
  expect(out).toContain("  …\n");
  expect(out).not.toContain('"x0"');
});

test("a script has to say yes beforehand, and then both ways work", async () => {
  const refused = await demo.home.run(["setup", "claude-code"]);
  expect([refused.code, existsSync(at(".claude"))]).toEqual([2, false]);
  expect(refused.err).toContain("Add --yes to say yes.");
  const done = await demo.home.run(["setup", "--yes", "claude-code", "--model", "gpt-5.5-high"], {
    PLANSOCKET_API_KEY: "relay-secret",
  });
  expect(done.code).toBe(0);
  expect(done.err).toContain("--undo");
  expect(done.err + done.out).not.toContain("relay-secret");
  const settings = JSON.parse(readFileSync(at(".claude/settings.json"), "utf8")) as { env: Record<string, string> };
  expect(settings.env).toMatchObject({
    ANTHROPIC_BASE_URL: "http://127.0.0.1:8787",
    ANTHROPIC_AUTH_TOKEN: "relay-secret",
    ANTHROPIC_MODEL: "gpt-5.5-high",
    ANTHROPIC_DEFAULT_HAIKU_MODEL: "gpt-6-luna",
  });
  const again = await demo.home.run(["setup", "claude-code", "--model", "gpt-5.5-high"], {
    PLANSOCKET_API_KEY: "relay-secret",
  });
  expect([again.code, again.out]).toEqual([0, ""]);
  expect(again.err).toContain("set up already");
  const undone = await demo.home.run(["setup", "claude-code", "--undo"]);
  expect(undone).toMatchObject({ code: 0, err: `${at(".claude/settings.json")} removed\n` });
  expect(existsSync(at(".claude"))).toBe(false);
});

test("a key in a file that others can read is told", async () => {
  writeFileSync(at(".aider.conf.yml"), "dark-mode: true\n", { mode: 0o644 });
  const open = await demo.home.run(["setup", "aider", "--yes"], { PLANSOCKET_API_KEY: "relay-secret" });
  expect(open.err).toContain(".aider.conf.yml can be read by others (mode 644)");
  const closed = await demo.home.run(["setup", "pi", "--yes"], { PLANSOCKET_API_KEY: "relay-secret" });
  expect(closed.err).not.toContain("can be read by others");
});

test.each([
  ["y\n", 0, true],
  ["\n", 1, false],
])("on a terminal it asks, and %j is the answer", async (keys, code, isWritten) => {
  const ended = await demo.home.onTerminal(["setup", "aider"], keys);
  expect(ended.screen).toContain("Write this for aider? [y/N]");
  expect([ended.code, existsSync(at(".aider.conf.yml"))]).toEqual([code, isWritten]);
});

test("undo refuses what was edited since, with exit code 1", async () => {
  await demo.home.run(["setup", "aider", "--yes"]);
  writeFileSync(at(".aider.conf.yml"), "dark-mode: true\n");
  const refused = await demo.home.run(["setup", "aider", "--undo"]);
  expect([refused.code, refused.err.includes("which did not exist before")]).toEqual([1, true]);
  expect(readFileSync(at(".aider.conf.yml"), "utf8")).toBe("dark-mode: true\n");
  expect((await demo.home.run(["setup", "aider", "--undo", "--force"])).code).toBe(0);
  expect(existsSync(at(".aider.conf.yml"))).toBe(false);
});

test("without a client it lists those on this machine, which are set up, and how to start the relay", async () => {
  mkdirSync(at(".claude"));
  mkdirSync(at(".factory"));
  await demo.home.run(["setup", "claude-code", "--yes"]);
  const { code, out, err } = await demo.home.run(["setup", "--port", "1"]);
  expect([code, out.split("\n")[0]]).toEqual([0, "On this machine:"]);
  expect(out).toMatch(/✓ claude-code +Claude Code +set up\n/);
  expect(out).toMatch(/ {2}droid +Droid\n/);
  expect(out).toContain("Next: `plansocket setup droid` shows what it would write, and asks first.\n");
  expect(out).toMatch(/Also known: .*zed.*env\.\n/);
  expect(err).toContain("No relay answers on http://127.0.0.1:1. Start it with `plansocket start`");
  const listed = JSON.parse((await demo.home.run(["setup", "--json"])).out) as { name: string; isSetUp: boolean }[];
  expect(listed.find(({ name }) => name === "claude-code")).toMatchObject({ isFound: true, isSetUp: true });
});

test.each([
  [["setup", "--undo"], 2, "Which client?", "setup CLIENT --undo"],
  [["setup", "codexx"], 2, "Unknown client 'codexx'.", "Did you mean 'codex'?"],
  [["setup", "codex", "--model", "gpt-none"], 2, "'gpt-none' does not exist", "gpt-6.2-sol"],
  [["setup", "codex", "--port", "0"], 2, "fixed port", "--port"],
  [["setup", "codex", "--undoo"], 2, "Unknown flag '--undoo'.", "--undo"],
  [["setup", "pi", "--as-builtin"], 2, "pi cannot be set up with --as-builtin.", "codex"],
  [["setup", "codex", "--as-builtin", "--api-key", "k"], 1, "asks for a key", "leave out --as-builtin"],
  [["setup", "env", "--shell", "tcsh"], 2, "Unknown shell 'tcsh'.", "bash, zsh, fish, powershell"],
  [["setup", "codex", "--undo"], 1, "nothing to undo", "--state-dir"],
])("%j fails in plain words", async (args, code, message, hint) => {
  const ended = await demo.home.run(args);
  expect([ended.code, ended.out]).toEqual([code, ""]);
  expect(ended.err).toContain(message);
  expect(ended.err).toContain(hint);
});

test("without the backend the list that is known serves, and it is said so", async () => {
  const { code, err } = await demo.home.run(["setup", "codex", "--dry-run"], {
    PLANSOCKET_BASE_URL: "http://127.0.0.1:9",
  });
  expect([code, err]).toEqual([
    0,
    "The backend could not be asked for the account's models: 127.0.0.1:9 could not be reached (ECONNREFUSED). " +
      "Check your network; behind a corporate proxy set --proxy. Shown are those that came with plansocket.\n",
  ]);
});

test.each([
  ["bash", "export OPENAI_API_KEY='a'\\''b $c'\n"],
  ["fish", "set -gx OPENAI_API_KEY 'a\\'b $c'\n"],
  ["powershell", "$env:OPENAI_API_KEY = 'a''b $c'\n"],
])("`setup env` prints nothing but what %s takes in", async (shell, line) => {
  const { code, out, err } = await demo.home.run(["setup", "env", "--shell", shell], { PLANSOCKET_API_KEY: "a'b $c" });
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain(line);
  expect(out.trimEnd().split("\n")).toHaveLength(7);
  expect(demo.backend.requests).toEqual([]);
});

test("what `setup env` prints for bash sets the variables", async () => {
  const { out } = await demo.home.run(["setup", "env", "--host", "::", "-p", "1234"], { SHELL: "/bin/bash" });
  const shell = Bun.spawn(["sh", "-c", `${out}\nprintf %s "$OPENAI_BASE_URL $ANTHROPIC_BASE_URL $OLLAMA_HOST"`], {
    stdout: "pipe",
  });
  expect(await new Response(shell.stdout).text()).toBe(
    "http://127.0.0.1:1234/v1 http://127.0.0.1:1234 http://127.0.0.1:1234",
  );
});

test.each([
  ["shelley", "api/custom-models"],
  ["hal", "api_base: http://127.0.0.1:8787/v1"],
  ["open-webui", "OPENAI_API_BASE_URL=http://127.0.0.1:8787/v1"],
])("%s, which no file reaches here, gets instructions", async (client, text) => {
  const { code, out } = await demo.home.run(["setup", client, "--yes"]);
  expect(code).toBe(0);
  expect(out).toContain(text);
  expect(existsSync(at(".local"))).toBe(false);
});

describe("where clients have keys, a client gets one of its own", () => {
  const KEY = /plsk_[\w-]{43}/;
  const settings = () => readFileSync(at(".claude/settings.json"), "utf8");
  const keys = async () => {
    const listed = JSON.parse((await demo.home.run(["keys", "list", "--json"])).out) as Record<string, string | null>[];
    return Object.fromEntries(
      listed.map(({ name, state, made_for: madeFor }) => [name, `${state}, for ${madeFor ?? "nobody"}`]),
    );
  };

  test("which stays the same, and ends with --undo", async () => {
    await demo.home.run(["keys", "add", "laptop"]);
    const dry = await demo.home.run(["setup", "claude-code", "--dry-run"]);
    expect([dry.code, KEY.test(dry.out), await keys()]).toEqual([0, false, { laptop: "usable, for nobody" }]);

    const done = await demo.home.run(["setup", "claude-code", "--yes"]);
    expect([done.code, KEY.test(done.out + done.err)]).toEqual([0, false]);
    expect(done.err).toContain("a key of its own, 'claude-code'");
    const [key] = KEY.exec(settings()) ?? [];
    expect(key).toBeDefined();
    expect(await keys()).toEqual({ laptop: "usable, for nobody", "claude-code": "usable, for claude-code" });

    const again = await demo.home.run(["setup", "claude-code", "--model", "gpt-5.5", "--yes"]);
    expect(again.code).toBe(0);
    expect(settings()).toContain(key ?? "none");
    expect((await demo.home.run(["setup", "claude-code", "--model", "gpt-5.5"])).err).toContain("set up already");

    const undone = await demo.home.run(["setup", "claude-code", "--undo"]);
    expect(undone.err).toContain("The key 'claude-code' is revoked.");
    expect(await keys()).toMatchObject({ "claude-code": "revoked, for claude-code" });

    await demo.home.run(["setup", "claude-code", "--yes"]);
    expect(settings()).not.toContain(key ?? "none");
    expect(await keys()).toMatchObject({ "claude-code": "usable, for claude-code" });
  });

  test("beside one of that name that was made by hand, and not where a key is named", async () => {
    await demo.home.run(["keys", "add", "claude-code"]);
    const named = await demo.home.run(["setup", "claude-code", "--yes", "--api-key", "relay-secret"]);
    expect(named.err).not.toContain("key of its own");
    expect(settings()).toContain("relay-secret");
    await demo.home.run(["setup", "claude-code", "--yes"]);
    expect(settings()).not.toContain("relay-secret");
    expect(await keys()).toEqual({
      "claude-code": "usable, for nobody",
      "claude-code-2": "usable, for claude-code",
    });
    await demo.home.run(["setup", "claude-code", "--undo"]);
    expect(await keys()).toMatchObject({ "claude-code": "usable, for nobody" });
  });

  test("unless none of its files holds one: then it is said how", async () => {
    await demo.home.run(["keys", "add", "laptop"]);
    const printed = await demo.home.run(["setup", "cursor"]);
    expect(printed.out).toContain("YOUR_KEY");
    expect(printed.err).toContain("`plansocket keys add cursor`");
    const zed = await demo.home.run(["setup", "zed", "--yes"]);
    expect(zed.err).toContain("`plansocket keys add zed` makes one for Zed.");
    expect(await keys()).toEqual({ laptop: "usable, for nobody" });
  });

  test("and a broken list of keys stops setup, not --undo", async () => {
    await demo.home.run(["keys", "add", "laptop"]);
    await demo.home.run(["setup", "claude-code", "--yes"]);
    writeFileSync(at(".local/state/plansocket/keys.json"), "{");
    const stopped = await demo.home.run(["setup", "aider", "--yes"]);
    expect([stopped.code, stopped.err]).toEqual([1, expect.stringContaining("line 1, column 2")]);
    const undone = await demo.home.run(["setup", "claude-code", "--undo"]);
    expect([undone.code, undone.err]).toEqual([0, expect.stringContaining("was not revoked")]);
  });
});
