import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandHome } from "../support/cli.ts";

let home: CommandHome;
let folder: string;
beforeEach(() => {
  home = new CommandHome();
  folder = join(home.path, "tmp");
  mkdirSync(folder);
  mkdirSync(join(home.path, "bin"));
});
afterEach(() => home.remove());

/** A program on the PATH that stands for a client. */
function program(name: string, script: string): Record<string, string> {
  const path = join(home.path, "bin", name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { PATH: `${join(home.path, "bin")}:${process.env["PATH"]}`, TMPDIR: folder };
}

const sh = (script: string, env: Record<string, string> = {}) =>
  home.run(["run", "--demo", "--", "sh", "-c", script], { TMPDIR: folder, ...env });

test("the command finds a relay that only it can use, and its exit code is passed on", async () => {
  const script = [
    'curl -s -o /dev/null -w "%{http_code} " "$OPENAI_BASE_URL/models"',
    'curl -s -o /dev/null -w "%{http_code} " -H "Authorization: Bearer $OPENAI_API_KEY" "$OPENAI_BASE_URL/models"',
    'curl -s -o /dev/null -w "%{http_code} " -H "x-api-key: $ANTHROPIC_API_KEY" "$OPENAI_API_BASE/models"',
    'echo "$OPENAI_BASE_URL $ANTHROPIC_BASE_URL/v1 $OLLAMA_HOST/v1"',
    "exit 7",
  ].join("\n");
  const { code, out, err } = await sh(script);
  expect([code, err]).toEqual([7, ""]);
  const url = /http:\/\/127\.0\.0\.1:\d+\/v1/.exec(out)?.[0] ?? "";
  expect(out).toBe(`401 200 200 ${url} ${url} ${url}\n`);
  await expect(fetch(`${url}/models`)).rejects.toThrow();
});

test("each run has a key of its own", async () => {
  const keys = await Promise.all([1, 2].map(async () => (await sh('echo "$OPENAI_API_KEY"')).out));
  expect(keys[0]).not.toBe(keys[1]);
  expect(keys[0]?.length).toBeGreaterThan(30);
});

test.each([
  [["sh", "-c", "exit 0"], 0],
  [["sh", "-c", "kill -9 $$"], 137],
  [["sh", "-c", "kill -TERM $$"], 143],
])("%j ends with %i", async (command, code) => {
  expect((await home.run(["run", "--demo", "--", ...command])).code).toBe(code);
});

test("a signal is sent on, and the command may take its time", async () => {
  const script = 'trap "echo ended; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
  const running = home.start(["run", "--demo", "--", "sh", "-c", script]);
  await running.says(/ready/);
  running.kill("SIGTERM");
  const { code, out } = await running.ended;
  expect([code, out]).toEqual([3, "ready\nended\n"]);
});

test("a key press on the terminal reaches the command, and the relay stays until the command ends", async () => {
  const script = 'trap "echo pressed" INT; echo "ready [y/N]"; read -r line; read -r line; exit 5';
  const { code, screen } = await home.onTerminal(["run", "--demo", "--", "sh", "-c", script], "\u0003one\ntwo\n");
  expect(code).toBe(5);
  expect(screen).toContain("pressed");
});

test("the command keeps its caller's proxy, which does not get what is meant for the relay", async () => {
  const { out } = await sh('echo "$HTTPS_PROXY|$NO_PROXY|$OPENAI_REFRESH_TOKEN"', {
    HTTPS_PROXY: "http://127.0.0.1:9",
    NO_PROXY: ".corp",
    OPENAI_REFRESH_TOKEN: "spent-once",
  });
  expect(out).toBe("http://127.0.0.1:9|.corp,127.0.0.1,localhost|\n");
});

test.each([
  [["run", "--", "no-such-command-here"], 127, "no-such-command-here: command not found", "on the PATH?"],
  [["run", "--", "./plain"], 126, "./plain: not executable", "chmod +x ./plain"],
  [["run"], 2, "Which command?", "run -- COMMAND"],
  [["run", "claude", "-p", "hi"], 2, "Which command?", "run -- claude -p hi"],
  [["run", "--demoo", "--", "sh"], 2, "Unknown flag '--demoo'.", "--demo"],
  [["run", "--demo", "--model", "gpt-none", "--", "sh"], 2, "'gpt-none' does not exist", "gpt-6.2-sol"],
  [["run", "--", "sh", "-c", "echo started"], 1, "There is no login", "plansocket login"],
])("%j fails in plain words", async (args, code, message, hint) => {
  writeFileSync(join(home.path, "plain"), "");
  const ended = await home.run(args);
  expect([ended.code, ended.out]).toEqual([code, ""]);
  expect(ended.err).toContain(message);
  expect(ended.err).toContain(hint);
});

test("--help after -- is the command's own", async () => {
  const env = program("client", 'echo "$@"');
  expect((await home.run(["run", "--demo", "--", "client", "--help"], env)).out).toBe("--help\n");
  expect((await home.run(["run", "--help"])).out).toContain("plansocket run");
});

test("codex keeps its home and gets a provider by flags, its key by a variable", async () => {
  const env = program("codex", 'printf "%s\\n" "$@"; echo "$PLANSOCKET_RUN_KEY" | wc -c');
  const { out } = await home.run(["run", "--demo", "--", "codex", "exec", "hi there"], env);
  expect(out.replace(/:\d+\//, ":PORT/").split("\n")).toEqual([
    "-c",
    'model_provider="plansocket"',
    "-c",
    'model_providers.plansocket.name="plansocket"',
    "-c",
    'model_providers.plansocket.base_url="http://127.0.0.1:PORT/v1"',
    "-c",
    'model_providers.plansocket.wire_api="responses"',
    "-c",
    'model_providers.plansocket.env_key="PLANSOCKET_RUN_KEY"',
    "exec",
    "hi there",
    "33",
    "",
  ]);
});

test("claude gets a token, models, and no key beside the token", async () => {
  const env = program("claude", 'echo "$ANTHROPIC_MODEL $ANTHROPIC_DEFAULT_HAIKU_MODEL [$ANTHROPIC_API_KEY]"');
  const { out } = await home.run(["run", "--demo", "--model", "gpt-5.5", "--", "claude"], {
    ...env,
    ANTHROPIC_API_KEY: "sk-ant-mine",
  });
  expect(out).toBe("gpt-5.5 gpt-6-luna []\n");
});

test.each([
  ["opencode", "OPENCODE_CONFIG_CONTENT"],
  ["kilo", "KILO_CONFIG_CONTENT"],
])("%s gets its provider beside what the variable already said", async (command, variable) => {
  const env = program(command, `echo "$${variable}"`);
  const given = { theme: "dark", provider: { mine: { npm: "x" } } };
  const { out } = await home.run(["run", "--demo", "--", command], { ...env, [variable]: JSON.stringify(given) });
  expect(JSON.parse(out)).toMatchObject({
    ...given,
    model: "plansocket/gpt-6.2-sol",
    provider: { plansocket: { options: { apiKey: "{env:PLANSOCKET_RUN_KEY}" } } },
  });
});

test("droid gets settings of its session, and the key beside them", async () => {
  const env = program("droid", 'cat "$FACTORY_RUNTIME_SETTINGS_PATH"; echo; echo "$PLANSOCKET_RUN_KEY" | wc -w');
  const { out } = await home.run(["run", "--demo", "--model", "gpt-5.5", "--", "droid", "exec"], env);
  const [settings = "", keys] = out.split("\n");
  const { customModels, sessionDefaultSettings } = JSON.parse(settings) as Record<string, unknown>;
  expect(sessionDefaultSettings).toEqual({ model: "custom:gpt-5.5" });
  expect(customModels).toContainEqual(
    expect.objectContaining({ model: "gpt-5.5", provider: "openai", apiKey: "${PLANSOCKET_RUN_KEY}" }),
  );
  expect(keys?.trim()).toBe("1");
  expect(readdirSync(folder)).toEqual([]);
});

test("Continue gets a file of models, the chosen one first, unless it is given one", async () => {
  const env = program("cn", 'echo "$1 $3"; test "$1" = --config && sed -n "s/^ *model: //p" "$2"; true');
  const { out } = await home.run(["run", "--demo", "--model", "gpt-5.5", "--", "cn", "-p"], env);
  const [words, first, ...others] = out.trim().split("\n");
  expect([words, first]).toEqual(["--config -p", "gpt-5.5"]);
  expect(others).not.toBeEmpty();
  const { out: own } = await home.run(["run", "--demo", "--", "cn", "-p", "--config", "mine.yaml"], env);
  expect(own).toStartWith("-p mine.yaml\n");
});

test("what is made for a command in a temporary folder is gone with it", async () => {
  const env = program(
    "cline",
    'ls -l "$CLINE_PROVIDER_SETTINGS_PATH" | cut -c1-10; cat "$CLINE_PROVIDER_SETTINGS_PATH"',
  );
  const { out } = await home.run(["run", "--demo", "--", "cline"], env);
  expect(out).toStartWith("-rw-------\n");
  expect(JSON.parse(out.slice(11))).toMatchObject({ lastUsedProvider: "openai-compatible" });
  const pi = program("pi", 'echo "$@"; cat "$2"');
  const said = await home.run(["run", "--demo", "--", "pi", "--model", "gpt-5.5", "hello"], pi);
  expect(said.out).toMatch(/--extension \S+\/plansocket\.js --provider plansocket --model gpt-5\.5 hello\n/);
  expect(said.out).toContain('pi.registerProvider("plansocket"');
  expect(said.out).toContain('"apiKey":"$PLANSOCKET_RUN_KEY"');
  expect((await home.run(["run", "--demo", "--", "pi", "list"], pi)).out).toStartWith("list\n");
  expect(readdirSync(folder)).toEqual([]);
  expect(existsSync(join(home.path, ".pi"))).toBe(false);
});

test("qwen and aider get what they need beside the general variables", async () => {
  const qwen = program("qwen", 'echo "$OPENAI_MODEL $@"');
  expect((await home.run(["run", "--demo", "--", "qwen", "-p", "hi"], qwen)).out).toBe(
    "gpt-6.2-sol --auth-type openai -p hi\n",
  );
  const aider = program("aider", 'echo "$AIDER_MODEL $AIDER_WEAK_MODEL"');
  expect((await home.run(["run", "--demo", "--", "aider"], aider)).out).toBe("openai/gpt-6.2-sol openai/gpt-6-luna\n");
});
