import { afterEach, beforeEach, expect, test } from "bun:test";
import { type StandIn, startStandIn } from "./backend.ts";
import { TOKEN_FAULTS } from "./oauth.ts";
import { CLIENT_ID } from "./account.ts";
import type { JsonObject } from "../../src/lib/json.ts";

let backend: StandIn;
beforeEach(() => {
  backend = startStandIn();
});
afterEach(() => backend.stop());

async function post(path: string, body: string | URLSearchParams): Promise<{ status: number; body: JsonObject }> {
  const reply = await fetch(backend.origin + path, { method: "POST", body });
  return { status: reply.status, body: (await reply.json().catch(() => ({}))) as JsonObject };
}

const refresh = (token: string) =>
  post("/oauth/token", JSON.stringify({ client_id: CLIENT_ID, grant_type: "refresh_token", refresh_token: token }));

test("a login looks like the file that the CLI writes", () => {
  const { authJson, accessToken } = backend.issueLogin({ plan: "plus", expiresInMs: 60_000, fedramp: true });
  expect(Object.keys(authJson)).toEqual(["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]);
  const claims = JSON.parse(Buffer.from(accessToken.split(".")[1] ?? "", "base64url").toString()) as JsonObject;
  expect(Number(claims["exp"]) - Number(claims["iat"])).toBe(60);
  expect(claims["https://api.openai.com/auth"]).toMatchObject({
    chatgpt_plan_type: "plus",
    chatgpt_account_is_fedramp: true,
  });
});

test("a refresh token works once", async () => {
  const { refreshToken } = backend.issueLogin();
  const first = await refresh(refreshToken);
  expect(first.status).toBe(200);
  expect(await refresh(refreshToken)).toMatchObject({ status: 401, body: { error: { code: "refresh_token_reused" } } });
  expect((await refresh(String(first.body["refresh_token"]))).status).toBe(200);
  expect(backend.counts.refreshes).toBe(3);
});

test("forms are taken as well, and a revoked token is refused", async () => {
  const { refreshToken } = backend.issueLogin();
  const fields = { client_id: CLIENT_ID, grant_type: "refresh_token", refresh_token: refreshToken };
  const { body } = await post("/oauth/token", new URLSearchParams(fields));
  await post("/oauth/revoke", JSON.stringify({ token: body["refresh_token"] }));
  const refused = await refresh(String(body["refresh_token"]));
  expect(refused.body).toMatchObject({ error: { code: "refresh_token_invalidated" } });
});

test.each(Object.entries(TOKEN_FAULTS))("scripted %s", async (_name, step) => {
  const { refreshToken } = backend.issueLogin();
  backend.scriptToken(step);
  const reply = await refresh(refreshToken);
  if (step.kind === "http") expect(reply.status).toBe(step.status);
  else expect(Object.keys(reply.body)).toEqual([...step.fields]);
});

test("a browser login gives tokens only to who knows the verifier", async () => {
  const redirect = "http://localhost:1455/auth/callback";
  const verifier = "v".repeat(64);
  const challenge = new Bun.CryptoHasher("sha256").update(verifier).digest("base64url");
  const query = new URLSearchParams({
    response_type: "code",
    client_id: CLIENT_ID,
    redirect_uri: redirect,
    code_challenge: challenge,
    code_challenge_method: "S256",
    state: "s1",
  });
  const url = `${backend.issuer}/oauth/authorize?${query.toString()}`;
  expect(await (await fetch(url)).text()).toContain("stand-in");
  const login = async (codeVerifier: string) => {
    const back = new URL((await fetch(url, { method: "POST", redirect: "manual" })).headers.get("location") ?? "");
    expect(back.searchParams.get("state")).toBe("s1");
    const code = back.searchParams.get("code") ?? "";
    const fields = { grant_type: "authorization_code", client_id: CLIENT_ID, code, redirect_uri: redirect };
    return post("/oauth/token", new URLSearchParams({ ...fields, code_verifier: codeVerifier }));
  };
  expect((await login("wrong")).body["error"]).toBe("invalid_grant");
  expect(Object.keys((await login(verifier)).body)).toContain("refresh_token");
  query.set("redirect_uri", "http://evil.test/");
  expect((await fetch(`${backend.issuer}/oauth/authorize?${query.toString()}`)).status).toBe(400);
});

test("a device login waits for its code to be approved", async () => {
  const start = await post("/api/accounts/deviceauth/usercode", JSON.stringify({ client_id: CLIENT_ID }));
  const { device_auth_id, user_code } = start.body;
  expect(start.body["interval"]).toBe("1");
  const poll = () => post("/api/accounts/deviceauth/token", JSON.stringify({ device_auth_id, user_code }));
  expect((await poll()).status).toBe(403);
  await post("/codex/device", new URLSearchParams({ user_code: String(user_code) }));
  const approved = await poll();
  expect(approved.status).toBe(200);
  const fields = {
    grant_type: "authorization_code",
    client_id: CLIENT_ID,
    code: String(approved.body["authorization_code"]),
    redirect_uri: `${backend.issuer}/deviceauth/callback`,
    code_verifier: String(approved.body["code_verifier"]),
  };
  expect((await post("/oauth/token", new URLSearchParams(fields))).status).toBe(200);
});
