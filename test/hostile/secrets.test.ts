import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { report } from "./report.ts";
import { becomesTrue, Rig } from "./rig.ts";

const KEY = "the-relays-own-key-71b2c9";
const PROXY_PASSWORD = "the-proxys-password-5ac0";
const PROMPT = "a question that is nobody's business";
/** What the stand-in says to everyone; in the log it would be somebody's answer. */
const ANSWER = "no real model was asked";
const LIMIT_MS = 60_000;

let rig: Rig;
afterEach(() => rig.stop());

const start = (...flags: string[]) =>
  Rig.start(flags, ({ refreshToken, tokenUrl }) => ({
    PLANSOCKET_API_KEY: KEY,
    OPENAI_REFRESH_TOKEN: refreshToken,
    CODEX_REFRESH_TOKEN_URL_OVERRIDE: tokenUrl,
    // Loopback never uses it, but the relay knows it.
    PLANSOCKET_PROXY: `http://somebody:${PROXY_PASSWORD}@127.0.0.1:9`,
  }));

/** Everything that anybody is told: replies of all kinds, good and bad, with their headers. */
async function everythingTold(): Promise<string[]> {
  const url = `http://127.0.0.1:${rig.port}`;
  const authorization = `Bearer ${KEY}`;
  const chat = (content: string, over: object = {}) =>
    JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content }], ...over });
  const asks: [string, RequestInit][] = [
    ["/health", {}],
    ["/ready", {}],
    ["/metrics", {}],
    ["/metrics", { headers: { accept: "application/json" } }],
    ["/metrics", { headers: { authorization, accept: "application/json" } }],
    ["/v1/models", { headers: { authorization } }],
    ["/v1/models", { headers: { authorization: `Bearer ${KEY}x` } }],
    ["/v1/unheard-of", { headers: { authorization } }],
    [`/v1/unheard-of?key=${KEY}`, { headers: { authorization } }],
    ...[
      "hello",
      "fault:unauthorized",
      "fault:token_expired",
      "fault:server_error",
      "fault:cut",
      "fault:cloudflare",
    ].map((fault): [string, RequestInit] => [
      "/v1/chat/completions",
      { method: "POST", headers: { authorization }, body: chat(`${PROMPT} ${fault}`) },
    ]),
    ["/v1/chat/completions", { method: "POST", headers: { authorization }, body: chat(PROMPT, { stream: true }) }],
    ["/v1/messages", { method: "POST", headers: { "x-api-key": KEY }, body: chat(PROMPT, { max_tokens: 9 }) }],
    ["/v1/messages", { method: "POST", headers: { "x-api-key": `${KEY}x` }, body: chat(PROMPT) }],
    ["/v1/chat/completions", { method: "POST", headers: { authorization }, body: `{"${PROMPT}` }],
    ["/v1/chat/completions", { method: "POST", headers: { authorization }, body: chat(PROMPT, { model: KEY }) }],
  ];
  const told: string[] = [];
  for (const [path, init] of asks) {
    const reply = await fetch(url + path, init);
    told.push(`${reply.status} ${JSON.stringify([...reply.headers])} ${await reply.text()}`);
  }
  return told;
}

/** Names of secrets that a text holds. */
function secretsIn(text: string): string[] {
  const { accessToken, refreshToken } = rig.login;
  const secrets = { key: KEY, accessToken, refreshToken, proxy: PROXY_PASSWORD };
  // A part of a token is as bad as all of it.
  return Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret.slice(-24)) ? [name] : []));
}

/** An access token. */
const TOKEN = /eyJ[\w-]{20,}\./;

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    // Bun keeps what it made of a dependency's source there; the executable brings its own.
    return entry.isFile() && !path.startsWith(join(folder, ".bun")) ? [path] : [];
  });
}

describe.each(["info", "debug"])("with a log of %s", (level) => {
  test.each(["json", "pretty"])(
    "as %s no secret is said, logged, listed or left where others read",
    async (format) => {
      rig = await start("--log-level", level, "--log-format", format);
      const told = await everythingTold();
      await rig.expireTokens();
      const renewed = await everythingTold();
      // The model that does not exist was named by the client, which knows what it wrote.
      const replies = [...told, ...renewed].join("\n").replaceAll(`'${KEY}'`, "");
      expect(secretsIn(replies)).toEqual([]);
      expect(replies).not.toMatch(TOKEN);
      expect(replies).not.toMatch(/\bat .*\.ts:\d+/);

      const files = filesBelow(rig.home);
      const withTokens = files.filter((file) => TOKEN.test(readFileSync(file, "utf8")));
      // What a refresh token was exchanged for is kept for the next start, for this user alone.
      expect(withTokens).toHaveLength(1);
      for (const file of withTokens) expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
      for (const file of files)
        if (!withTokens.includes(file)) expect(secretsIn(readFileSync(file, "utf8"))).toEqual([]);
      const listed = Bun.spawnSync(["ps", "-o", "args=", "-p", String(rig.pid)]).stdout.toString();
      expect(listed).toContain("serve");
      expect(secretsIn(listed)).toEqual([]);

      expect(await rig.terminate()).toBe(0);
      expect(rig.said.length).toBeGreaterThan(500);
      expect(secretsIn(rig.said)).toEqual([]);
      expect(rig.said).not.toMatch(TOKEN);
      if (level === "info") {
        expect(rig.said).not.toContain(PROMPT);
        expect(rig.said).not.toContain(ANSWER);
      } else expect(rig.said).toContain(PROMPT);
      report("attack", `secrets, ${level} log as ${format}`, told.length + renewed.length, `${files.length} files`);
    },
    LIMIT_MS,
  );
});

test(
  "a key on the command line works, with a warning that others can see it there",
  async () => {
    rig = await Rig.start(["--api-key", KEY]);
    await becomesTrue(async () => rig.said.includes("command line"), "the warning");
    expect(rig.said).toMatch(/a key on the command line can be seen by other users/);
    expect(secretsIn(rig.said)).toEqual([]);
  },
  LIMIT_MS,
);

/** What a terminal or a reader of lines would obey. */
const COMMANDS = '\u001b[2J\u001b]0;owned\u0007\r\n{"level":"error","message":"forged"}\u009b31m\u2028\u202e';

describe.each(["json", "pretty"])("a log as %s", (format) => {
  test(
    "stays one line for each event, whatever callers put into names",
    async () => {
      rig = await Rig.start(["--log-level", "debug", "--log-format", format]);
      const url = `http://127.0.0.1:${rig.port}`;
      const lines = () => rig.said.split("\n").length;
      const before = lines();
      const bodies = [
        { model: COMMANDS, messages: [{ role: "user", content: "hi" }] },
        { model: "gpt-5.5", messages: [{ role: COMMANDS, content: COMMANDS }] },
        { model: "gpt-5.5", [COMMANDS]: 1, messages: [{ role: "user", content: COMMANDS }] },
        { model: "gpt-5.5", reasoning_effort: COMMANDS, messages: [{ role: "user", content: "hi" }] },
        { model: "gpt-5.5", user: COMMANDS, tools: [{ type: "function", function: { name: COMMANDS } }], messages: [] },
      ];
      for (const body of bodies) {
        for (const path of ["/v1/chat/completions", "/v1/messages", "/api/chat"]) {
          await fetch(url + path, { method: "POST", body: JSON.stringify(body) }).then((reply) => reply.text());
        }
      }
      for (const path of [`/v1/models/${encodeURIComponent(COMMANDS)}`, `/${encodeURIComponent(COMMANDS)}`]) {
        await fetch(url + path, { headers: { "user-agent": "x\u009b31m", "x-request-id": "a\u0085b" } });
      }
      await becomesTrue(async () => lines() >= before + bodies.length * 3 + 2, "the log lines");
      expect(await rig.terminate()).toBe(0);
      // eslint-disable-next-line no-control-regex -- control characters are exactly what is meant
      expect(rig.said).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
      expect(rig.said).not.toMatch(/^\{"level":"error","message":"forged"/m);
      if (format === "json") {
        const logged = rig.said.split("\n").filter((line) => line.startsWith("{"));
        for (const line of logged) expect(JSON.parse(line)).toHaveProperty("time");
      }
      report("attack", `commands to terminals in a log as ${format}`, bodies.length * 3 + 2);
    },
    LIMIT_MS,
  );
});
