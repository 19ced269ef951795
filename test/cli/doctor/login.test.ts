import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TOKEN_FAULTS } from "../../stand-in/oauth.ts";
import { asOthers, canBeOthers, usePatient } from "../../support/doctor.ts";

const patient = usePatient();
const MINUTE_MS = 60_000;

describe("the way to the file", () => {
  test("goes round in a circle", async () => {
    symlinkSync(patient.file, patient.file);
    expect((await patient.examine()).find("login")).toEqual({
      id: "login",
      status: "fail",
      summary: `${patient.file} is a link to itself.`,
      fix: "Remove it and run `plansocket login`.",
    });
  });

  test.skipIf(!canBeOthers)("is closed", async () => {
    patient.writeLogin();
    const folder = dirname(patient.file);
    chmodSync(folder, 0);
    const { find } = await patient.examine([], {}, asOthers);
    chmodSync(folder, 0o700);
    expect(find("login")).toEqual({
      id: "login",
      status: "fail",
      summary: `${folder} may not be entered by this user.`,
      fix: `Run \`chmod 700 ${folder}\` as its owner.`,
    });
  });

  test("does not matter to tokens from the environment", async () => {
    symlinkSync("/nowhere/auth.json", patient.file);
    const { accessToken, accountId } = patient.backend.issueLogin();
    const { code, find } = await patient.examine([], {
      OPENAI_ACCESS_TOKEN: accessToken,
      OPENAI_CHATGPT_ACCOUNT_ID: accountId,
    });
    expect([code, find("login")?.summary, find("storage")?.summary]).toEqual([
      0,
      "dev@example.com, plan pro (environment)",
      "nothing to keep: the environment brings no refresh token",
    ]);
  });
});

test("tokens from the environment are said to come before a file that is there", async () => {
  patient.writeLogin();
  const { accessToken } = patient.backend.issueLogin();
  const { find } = await patient.examine([], { OPENAI_ACCESS_TOKEN: accessToken });
  expect(find("login")?.summary).toBe(`dev@example.com, plan pro (environment, before ${patient.file})`);
});

describe("a renewed login could not be kept", () => {
  test.skipIf(!canBeOthers)("in a folder that is not writable", async () => {
    patient.writeLogin();
    const folder = dirname(patient.file);
    chmodSync(folder, 0o500);
    const { code, find } = await patient.examine([], {}, asOthers);
    expect([code, find("storage")]).toEqual([
      0,
      {
        id: "storage",
        status: "warn",
        summary: `${folder} cannot be written: a renewed login is written over the old one, which a power cut may spoil.`,
        fix: `Run \`chmod u+w ${folder}\` as its owner.`,
      },
    ]);
    patient.writeLogin({ auth_mode: "apikey", OPENAI_API_KEY: patient.backend.issueApiKey() });
    // A key is never renewed.
    expect((await patient.examine([], {}, asOthers)).find("storage")?.status).toBe("ok");
    chmodSync(folder, 0o700);
  });

  const canMount = Bun.which("unshare") !== null && Bun.spawnSync(["unshare", "--mount", "true"]).exitCode === 0;
  test.skipIf(!canMount)("in a file that is mounted by itself, as into a container", async () => {
    patient.writeLogin();
    const mounting = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && exec "$@"', patient.file];
    const { code, find } = await patient.examine([], {}, mounting);
    expect([code, find("storage")]).toEqual([
      0,
      {
        id: "storage",
        status: "warn",
        summary: `${patient.file} is mounted by itself and cannot be replaced: a renewed login is written over the old one, which a power cut may spoil.`,
        fix: `Mount the folder ${dirname(patient.file)} instead of the file.`,
      },
    ]);
  });

  test.skipIf(!canBeOthers)("beside a named file, for tokens from the environment", async () => {
    const env = { OPENAI_REFRESH_TOKEN: patient.backend.issueLogin().refreshToken };
    const folder = dirname(patient.file);
    chmodSync(folder, 0o500);
    const { find } = await patient.examine(["--auth-file", patient.file], env, asOthers);
    chmodSync(folder, 0o700);
    expect(find("storage")).toMatchObject({
      status: "fail",
      summary: `A renewed login could not be saved in ${folder} (permission denied, EACCES), so none is asked for.`,
    });
  });
});

describe("a token that is about to end", () => {
  const again = "Run `plansocket login` before it ends.";

  test("is renewed like for a request", async () => {
    patient.writeLogin(patient.backend.issueLogin({ expiresInMs: 3 * MINUTE_MS }).authJson);
    const { code, find } = await patient.examine();
    expect([code, find("token")?.summary]).toEqual([
      0,
      expect.stringMatching(/^it was renewed: \d s old, good for 10 d \(until /),
    ]);
    expect(patient.backend.counts.refreshes).toBe(1);
  });

  test("is not spent while it has longer than that", async () => {
    patient.writeLogin(patient.backend.issueLogin({ expiresInMs: 7 * MINUTE_MS }).authJson);
    const { find } = await patient.examine();
    expect(find("token")).toMatchObject({ status: "ok", summary: expect.stringContaining("good for 7 min") });
    expect(patient.backend.counts.refreshes).toBe(0);
  });

  test("tells that its refresh token is dead, while it still works", async () => {
    patient.writeLogin(patient.backend.issueLogin({ expiresInMs: 3 * MINUTE_MS }).authJson);
    patient.backend.scriptToken(TOKEN_FAULTS.refresh_token_invalidated);
    const { code, find } = await patient.examine();
    expect(find("token")).toEqual({
      id: "token",
      status: "warn",
      summary: expect.stringMatching(/^\d s old, good for 3 min \(until \d\d:\d\d\), and cannot be renewed$/),
      fix: again,
    });
    expect([code, find("backend")?.status]).toEqual([0, "ok"]);
  });

  test("tells that it could not be renewed yet", async () => {
    patient.writeLogin(patient.backend.issueLogin({ expiresInMs: 3 * MINUTE_MS }).authJson);
    patient.backend.scriptToken(TOKEN_FAULTS.server_error);
    expect((await patient.examine()).find("token")).toEqual({
      id: "token",
      status: "warn",
      summary: expect.stringMatching(/good for 3 min \(until \d\d:\d\d\), but could not be renewed just now$/),
      fix: "Try again in a moment.",
    });
  });

  test("has a file without anything to renew it", async () => {
    const { tokens, ...rest } = patient.backend.issueLogin().authJson as { tokens: object };
    patient.writeLogin({ ...rest, tokens: { ...tokens, refresh_token: null } });
    expect((await patient.examine()).find("token")).toEqual({
      id: "token",
      status: "warn",
      summary: expect.stringMatching(/good for 10 d \(until .*\), and cannot be renewed$/),
      fix: again,
    });
  });
});

test("a refresh token is not spent because of a wrong clock", async () => {
  patient.writeLogin(patient.backend.issueLogin({ expiresInMs: -60 * MINUTE_MS }).authJson);
  const before = readFileSync(patient.file, "utf8");
  const twoHoursAgo = new Date(Date.now() - 120 * MINUTE_MS).toUTCString();
  const asked: string[] = [];
  const service = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      asked.push(`${request.method} ${new URL(request.url).pathname}`);
      return new Response("", { headers: { date: twoHoursAgo } });
    },
  });
  const host = `127.0.0.1:${service.port}`;
  const { code, find } = await patient.examine([], { PLANSOCKET_ISSUER: `http://${host}` });
  await service.stop(true);
  expect(code).toBe(1);
  expect(find("token")).toEqual({
    id: "token",
    status: "fail",
    summary: `The token has ended by this machine's clock, but not by that of ${host}; it was not renewed.`,
    fix: "Set this machine's clock first.",
  });
  expect(find("clock")).toEqual({
    id: "clock",
    status: "fail",
    summary: `The clock is 2 h ahead of ${host}.`,
    fix: "Set this machine's clock, best by NTP (`timedatectl set-ntp true` on Linux).",
  });
  expect(find("backend")?.status).toBe("skip");
  expect(asked).toEqual(["GET /"]);
  expect(readFileSync(patient.file, "utf8")).toBe(before);
});

test("the facts are there for scripts", async () => {
  patient.writeLogin();
  const { detail } = await patient.examine();
  expect(detail("login")).toEqual({
    mode: "chatgpt",
    source: "file",
    email: "dev@example.com",
    plan: "pro",
    account_id: patient.backend.issueLogin().accountId,
  });
  expect(detail("token")).toMatchObject({ can_renew: true, expires_at: expect.stringMatching(/^\d{4}-.*Z$/) });
  expect(detail("models")).toMatchObject({ origin: "live", models: expect.arrayContaining(["gpt-5.5"]) });
  expect(detail("version")).toMatchObject({ bun: Bun.version });
});

test("settings that are set are named by their place", async () => {
  patient.writeLogin();
  const folder = join(patient.home.path, ".config/plansocket");
  rmSync(folder, { recursive: true, force: true });
  await Bun.write(join(folder, "config.json"), '{"strict":true}');
  const { find, detail } = await patient.examine(["--stop-at", "90"]);
  expect(find("settings")?.summary).toContain("config.json (strict)");
  expect(find("settings")?.summary).toContain("--stop-at");
  expect(detail("settings")).toMatchObject({ config_file: join(folder, "config.json") });
  writeFileSync(join(folder, "config.json"), '{"strict": "perhaps"}');
  expect((await patient.examine()).find("settings")).toMatchObject({
    status: "fail",
    summary: "Bad value 'perhaps' for config.json (strict): must be true or false.",
    fix: expect.stringContaining('For example: `"strict": true`'),
  });
});
