import { afterEach, expect, test } from "bun:test";
import type { ModelInfo } from "../../src/codex/models.ts";
import { LITE_HEADER } from "../../src/codex/request/lite.ts";
import { DEMO_CATALOGUE } from "../../src/demo/catalogue.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { startStandIn, type StandIn, type StandInLogin, type StandInOptions } from "./backend.ts";
import { FAULTS } from "./faults.ts";

let running: StandIn | undefined;

afterEach(() => running?.stop());

function start(options: StandInOptions = {}): StandIn {
  running = startStandIn(options);
  return running;
}

const headersOf = (login: Pick<StandInLogin, "accessToken" | "accountId">): Record<string, string> => ({
  authorization: `Bearer ${login.accessToken}`,
  "chatgpt-account-id": login.accountId,
  "content-type": "application/json",
  "session-id": "s1",
});

const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const developer = { type: "message", role: "developer", content: [{ type: "input_text", text: "Be brief." }] };
const GOOD = { model: "gpt-5.5", instructions: "", input: [user("say ok")], store: false, stream: true };

async function ask(
  backend: StandIn,
  login: Pick<StandInLogin, "accessToken" | "accountId">,
  change: JsonObject = {},
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const reply = await fetch(`${backend.baseUrl}/responses`, {
    method: "POST",
    headers: { ...headersOf(login), ...headers },
    body: JSON.stringify({ ...GOOD, ...change }),
  });
  return { status: reply.status, text: await reply.text(), headers: reply.headers };
}

test.each([0, 1, 2])(
  "a workspace pinned to a region refuses calls without its header (contract 0.1, wording %d)",
  async (wording) => {
    const backend = start({ views: { wording } });
    const login = backend.issueLogin({ residency: "eu", residencyAt: wording === 1 ? "root" : "auth" });
    const refused = await ask(backend, login);
    expect(refused.status).toBe(401);
    expect(refused.text).toContain("Workspace is not authorized in this region.");
    const header = { "x-openai-internal-codex-residency": "eu" };
    expect((await ask(backend, login, {}, header)).status).toBe(200);
    expect((await fetch(`${backend.origin}/backend-api/wham/usage`, { headers: headersOf(login) })).status).toBe(401);
  },
);

test("a workspace without a region wants no residency header (contract 0.1)", async () => {
  const backend = start();
  const login = backend.issueLogin({ residency: "no_constraint" });
  expect((await ask(backend, login)).status).toBe(200);
  expect((await ask(backend, login, {}, { "x-openai-internal-codex-residency": "no_constraint" })).status).toBe(400);
});

test("models refuse the full shape or Lite as the view says (contract 0.2)", async () => {
  const backend = start();
  const login = backend.issueLogin();
  const lite = {
    model: "gpt-6-luna",
    instructions: undefined,
    reasoning: { context: "all_turns" },
    input: [developer, user("say ok")],
  };
  const luna = { model: "gpt-6-luna" };
  const header = { [LITE_HEADER]: "true" };
  expect((await ask(backend, login, luna)).status).toBe(200);
  expect((await ask(backend, login, lite, header)).status).toBe(200);
  backend.setViews({ classicRefusedBy: ["gpt-6-luna"] });
  expect(await ask(backend, login, luna)).toMatchObject({
    status: 404,
    text: expect.stringContaining("Model not found"),
  });
  expect((await ask(backend, login, { model: "gpt-6-sol" })).status).toBe(200);
  backend.setViews({ classicRefusedBy: "lite-models", wording: 2 });
  expect((await ask(backend, login, { model: "gpt-6-sol" })).text).toContain("model_not_found");
  backend.setViews({ classicRefusedBy: "none", lite: "refused" });
  expect((await ask(backend, login, lite, header)).status).toBe(400);
});

test.each([0, 1, 2])(
  "a body without instructions is refused in both views (contract 0.3, wording %d)",
  async (wording) => {
    const backend = start({ views: { wording } });
    const login = backend.issueLogin();
    const bare = { instructions: undefined };
    expect((await ask(backend, login, bare)).text).toMatch(/Instructions are (required|not valid)/);
    expect((await ask(backend, login, { ...bare, input: [developer, user("x")] })).status).toBe(200);
    backend.setViews({ instructions: "text" });
    expect((await ask(backend, login, { ...bare, input: [developer, user("x")] })).status).toBe(400);
    expect((await ask(backend, login)).status).toBe(400);
    expect((await ask(backend, login, { instructions: " " })).status).toBe(200);
  },
);

test.each([0, 1, 2])("a compaction item counts only with its own id (contract 0.6, wording %d)", async (wording) => {
  const backend = start({ views: { wording } });
  const login = backend.issueLogin();
  const compact = await fetch(`${backend.baseUrl}/responses/compact`, {
    method: "POST",
    headers: headersOf(login),
    body: JSON.stringify({ model: "gpt-5.5", input: [] }),
  });
  const { output } = (await compact.json()) as { output: [JsonObject] };
  const replay = (item: JsonObject) => ask(backend, login, { input: [item, user("go on")] });
  expect((await replay(output[0])).status).toBe(200);
  expect((await replay({ ...output[0], type: "compaction_summary" })).status).toBe(200);
  const { id: _, ...unbound } = output[0];
  expect((await replay(unbound)).text).toContain("Encrypted content item_id did not match the target item id");
  expect((await replay({ ...output[0], id: "cmp_other" })).status).toBe(400);
});

test.each([0, 1, 2])(
  "the effort none is refused with the values that work (contract 0.7, wording %d)",
  async (wording) => {
    const backend = start({ views: { wording } });
    const login = backend.issueLogin();
    const none = (model: string) => ask(backend, login, { model, reasoning: { effort: "none" } });
    for (const model of ["gpt-5.6-sol", "gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra"]) {
      expect((await none(model)).status).toBe(200);
    }
    expect((await none("gpt-6.1-sol")).text).toContain("Supported values are: 'low', 'medium', 'high', 'xhigh', 'max'");
    expect((await none("gpt-5.5")).status).toBe(400);
    backend.setViews({ noneEffort: "accepted" });
    expect((await none("gpt-5.5")).status).toBe(200);
    expect((await none("gpt-6-astra")).status).toBe(400);
  },
);

test("the failures that the CLI treats as final can be scripted (contract 0.8)", async () => {
  const backend = start();
  const login = backend.issueLogin();
  backend.script(FAULTS.failed_budget.script(), FAULTS.authorization_error.script(), FAULTS.too_many.script());
  expect((await ask(backend, login)).text).toContain('"code":"budget_reached"');
  expect((await ask(backend, login)).headers.get("x-openai-authorization-error")).toContain("administrator");
  const limited = await ask(backend, login);
  expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, null]);
});

test("a personal access token says through whoami whose it is (contract 0.10)", async () => {
  const backend = start();
  const { accountId } = backend.issueLogin({ plan: "enterprise" });
  const token = backend.issuePersonalToken();
  const whoami = (bearer: string) =>
    fetch(`${backend.issuer}/api/accounts/v1/user-auth-credential/whoami`, {
      headers: { authorization: `Bearer ${bearer}` },
    });
  expect(await (await whoami(token)).json()).toMatchObject({
    chatgpt_account_id: accountId,
    chatgpt_plan_type: "enterprise",
  });
  expect((await whoami("at-nobody")).status).toBe(401);
  expect((await ask(backend, { accessToken: token, accountId })).status).toBe(200);
  expect((await ask(backend, { accessToken: token, accountId: "org-stand-in" })).status).toBe(403);
});

test("only the client that made a login may refresh it (contract 0.12)", async () => {
  const backend = start();
  const { refreshToken, authJson } = backend.issueLogin({ clientId: "app_other" });
  expect(JSON.stringify(authJson)).toContain('"client_id":"app_other"');
  const refresh = (clientId: string) =>
    fetch(backend.tokenUrl, {
      method: "POST",
      body: JSON.stringify({ grant_type: "refresh_token", refresh_token: refreshToken, client_id: clientId }),
    });
  expect(await (await refresh("app_EMoamEEZ73f0CkXaXp7hrann")).json()).toMatchObject({ error: "invalid_client" });
  expect((await refresh("app_other")).status).toBe(200);
});

test("the load balancer's cookies are wanted back or refused, and no others are taken (contract 0.13)", async () => {
  const backend = start({ views: { cookies: "wanted" } });
  const login = backend.issueLogin();
  const first = await ask(backend, login);
  expect(first.headers.getSetCookie()).toHaveLength(3);
  expect((await ask(backend, login)).status).toBe(403);
  const cookie = "__cf_bm=stand-in; __oailb=1";
  expect((await ask(backend, login, {}, { cookie })).status).toBe(200);
  expect((await ask(backend, login, {}, { cookie: `${cookie}; oai-did=x` })).status).toBe(400);
  backend.setViews({ cookies: "refused" });
  expect((await ask(backend, login, {}, { cookie })).status).toBe(403);
});

test("the state of a turn is taken back within that turn only (contract 0.14)", async () => {
  const backend = start();
  const login = backend.issueLogin();
  const call = { type: "function_call", call_id: "c1", name: "f", arguments: "{}" };
  const during = { input: [user("x"), call, { type: "function_call_output", call_id: "c1", output: "y" }] };
  const state = (await ask(backend, login)).headers.get("x-codex-turn-state") ?? "";
  const header = { "x-codex-turn-state": state };
  const inside = await ask(backend, login, during, header);
  expect([inside.status, inside.headers.get("x-codex-turn-state")]).toEqual([200, state]);
  expect((await ask(backend, login, {}, header)).status).toBe(400);
  expect((await ask(backend, login, during, { "x-codex-turn-state": "turn-of-another" })).status).toBe(400);
});

test("Codex clients' other routes answer whoever is signed in (contract 0.15)", async () => {
  const backend = start();
  const headers = headersOf(backend.issueLogin());
  const search = await fetch(`${backend.baseUrl}/alpha/search`, { method: "POST", headers, body: '{"query":"x"}' });
  expect(await search.json()).toMatchObject({ received: { query: "x" } });
  for (const path of ["/backend-api/codex/alpha/notes/v2/list_files_by_prefix", "/api/codex/usage"]) {
    expect((await fetch(backend.origin + path, { headers })).status).toBe(200);
    expect((await fetch(backend.origin + path)).status).toBe(401);
  }
});

test("a model takes the service tiers that it lists and no other (contract 0.16)", async () => {
  const models = DEMO_CATALOGUE.models.map((model): ModelInfo =>
    model.slug === "gpt-5.5" ? { ...model, service_tiers: [{ id: "ultrafast" }] } : model,
  );
  const backend = start({ models });
  const login = backend.issueLogin();
  expect((await ask(backend, login, { service_tier: "ultrafast" })).status).toBe(200);
  expect((await ask(backend, login, { service_tier: "priority" })).text).toContain(
    "Unsupported service_tier: priority",
  );
  expect((await ask(backend, login, { service_tier: "flex" })).status).toBe(400);
  expect((await ask(backend, login, { model: "gpt-6-sol", service_tier: "priority" })).status).toBe(200);
});

test.each([
  [0, "Unknown parameter: 'input[0].namespace'."],
  [1, "Unsupported parameter: input[0].namespace"],
  [2, "Unknown parameter: 'input[0].namespace'."],
])("a field inside an item is refused with its path (contract 0.17, wording %d)", async (wording, text) => {
  const backend = start({ views: { wording } });
  const input = [{ ...user("x"), namespace: "y" }];
  expect((await ask(backend, backend.issueLogin(), { input })).text).toContain(text);
});

test("a client that is too old does not see the newest models (contract 0.19)", async () => {
  const backend = start();
  const login = backend.issueLogin();
  const slugs = async (version: string) => {
    const reply = await fetch(`${backend.baseUrl}/models?client_version=${version}`, { headers: headersOf(login) });
    return ((await reply.json()) as { models: { slug: string }[] }).models.map(({ slug }) => slug);
  };
  expect(await slugs("0.171.0")).toContain("gpt-6.2-sol");
  expect(await slugs("0.165.0")).not.toContain("gpt-6.2-sol");
  const old = await ask(backend, login, { model: "gpt-6.2-sol" }, { version: "0.165.0" });
  expect(old.text).toContain("requires a newer version of Codex");
});

test("reasoning of earlier turns can become unreadable, in several wordings", async () => {
  const backend = start({ views: { replayedReasoning: "refused" } });
  const login = backend.issueLogin();
  const input = [user("x"), { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAA" }, user("y")];
  const texts: string[] = [];
  for (const wording of [0, 1, 2]) {
    backend.setViews({ wording });
    texts.push((await ask(backend, login, { input })).text);
  }
  expect(texts[0]).toContain("could not be verified");
  expect(texts[1]).toContain("Unsupported content type");
  expect(texts[2]).toContain("Item 'rs_1'");
});
