import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { approveDevice, loginByDevice, USER_CODE } from "../support/device-login.ts";
import { CommandHome } from "../support/cli.ts";
import { certificate, type Certificate } from "../support/certificate.ts";
import { startDetour, type Detour } from "../support/detour.ts";

const codex = Bun.which("codex");
const SLOW_MS = 60_000;

/** The relay and the Codex CLI share one login; each takes the file that the other one's sign-in wrote. */
describe.skipIf(!codex || !Bun.which("openssl"))("with the real Codex CLI", () => {
  let backend: StandIn;
  let home: CommandHome;
  let detour: Detour;
  let tls: Certificate;
  let codexHome: string;
  beforeEach(() => {
    home = new CommandHome();
    codexHome = join(home.path, ".codex");
    mkdirSync(codexHome, { mode: 0o700 });
    tls = certificate(home.path, ["auth.openai.com", "chatgpt.com"], ["127.0.0.1"]);
    backend = startStandIn({ tls });
    // Both programs speak to the real names, and the stand-in answers.
    detour = startDetour(Number(new URL(backend.origin).port));
  });
  afterEach(async () => {
    detour.stop();
    await backend.stop();
    home.remove();
  });

  const trust = () => ({
    HTTPS_PROXY: detour.url,
    NODE_EXTRA_CA_CERTS: tls.authority,
    CODEX_CA_CERTIFICATE: tls.authority,
    SSL_CERT_FILE: tls.authority,
  });

  function cli(args: readonly string[]) {
    return Bun.spawn([codex ?? "codex", ...args], {
      cwd: home.path,
      env: { PATH: process.env["PATH"] ?? "", HOME: home.path, CODEX_HOME: codexHome, ...trust() },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  const through = () => ({ proxy: detour.url, tls: { rejectUnauthorized: false } });

  /** What the owner's browser does with the link. */
  async function browse(link: string): Promise<Response> {
    const reply = await fetch(link, { method: "POST", redirect: "manual", ...through() });
    return fetch(reply.headers.get("location") ?? "");
  }

  /** Waits for `pattern`, and reads on behind it: the CLI dies when nobody takes what it writes. */
  function reads(stream: ReadableStream<Uint8Array>, pattern: RegExp): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const readAll = async () => {
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        text += decoder.decode(chunk, { stream: true });
        const match = pattern.exec(text);
        if (match) resolve(match[0]);
      }
      reject(new Error(`never said ${String(pattern)}: ${text}`));
    };
    readAll().catch(reject);
    return promise;
  }

  /** It is logged in, and asks the stand-in directly with this login. */
  async function expectCodexWorks() {
    const status = cli(["login", "status"]);
    const [code, out, err] = await Promise.all([
      status.exited,
      new Response(status.stdout).text(),
      new Response(status.stderr).text(),
    ]);
    expect([code, out + err]).toEqual([0, expect.stringContaining("Logged in using ChatGPT")]);
    writeFileSync(
      join(codexHome, "config.toml"),
      'model = "gpt-5.5"\n[features]\nplugins = false\napps = false\n[analytics]\nenabled = false\n',
    );
    const exec = cli(["exec", "--json", "--skip-git-repo-check", "say pong"]);
    const [said, exit] = await Promise.all([new Response(exec.stdout).text(), exec.exited]);
    expect([exit, said]).toEqual([0, expect.stringContaining('"type":"turn.completed"')]);
  }

  async function expectRelayWorks() {
    const models = await home.run(["models"], trust());
    expect([models.code, models.err]).toEqual([0, ""]);
    expect(models.out).toContain("gpt-5.5");
    expect(JSON.parse((await home.run(["whoami", "--json"], trust())).out)).toMatchObject({ mode: "chatgpt" });
  }

  const file = () => readFileSync(join(codexHome, "auth.json"), "utf8");
  const accessToken = () => (JSON.parse(file()) as { tokens: { access_token: string } }).tokens.access_token;

  test(
    "it takes the file of our device sign-in, and goes on with it after we have renewed it",
    async () => {
      await loginByDevice(home, backend.origin, trust());
      await expectCodexWorks();
      const before = accessToken();
      backend.expireAccessTokens();
      await expectRelayWorks();
      expect(accessToken()).not.toBe(before);
      await expectCodexWorks();
    },
    SLOW_MS,
  );

  test(
    "it takes the file of our browser sign-in",
    async () => {
      const login = home.start(["login", "--no-browser"], trust());
      const [link] = await login.says(/https:\S+\/oauth\/authorize\S+/);
      expect((await browse(link)).status).toBe(200);
      expect((await login.ended).code).toBe(0);
      await expectCodexWorks();
    },
    SLOW_MS,
  );

  test(
    "we take the file of its device sign-in, and it goes on after we have renewed it",
    async () => {
      const login = cli(["login", "--device-auth"]);
      await approveDevice(backend.origin, await reads(login.stdout, USER_CODE));
      expect(await login.exited).toBe(0);
      await expectRelayWorks();
      const before = file();
      backend.expireAccessTokens();
      await expectRelayWorks();
      // Its own keys are still there, with new tokens.
      const keys = (text: string) => Object.keys((JSON.parse(text) as { tokens: object }).tokens);
      expect(keys(file())).toEqual(keys(before));
      expect(file()).not.toBe(before);
      await expectCodexWorks();
    },
    SLOW_MS,
  );

  test(
    "we take the file of its browser sign-in",
    async () => {
      const login = cli(["login"]);
      const link = await reads(login.stderr, /https:\S+\/oauth\/authorize\S+/);
      await browse(link);
      expect(await login.exited).toBe(0);
      await expectRelayWorks();
    },
    SLOW_MS,
  );
});
