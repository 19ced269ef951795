import { afterEach, describe, expect, test } from "bun:test";
import type { CredentialProvider } from "../../src/auth/credentials.ts";
import { metricText } from "../../src/server/prometheus.ts";
import { bearer, TestKeys } from "../support/keys.ts";
import { completed, created, delta, failed, fakeCodex, refuses, sse, sseThenSilence } from "../support/fake-codex.ts";
import {
  chatBody,
  eventually,
  fixedCredentials,
  post,
  startTestRelay,
  type TestRelayOptions,
} from "../support/relay.ts";

type Answers = Parameters<typeof fakeCodex>;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop();
});

function setUp(answers: Answers, over: Partial<TestRelayOptions> = {}) {
  const codex = fakeCodex(...answers);
  const relay = startTestRelay({ baseUrl: codex.baseUrl, ...over });
  open.push(codex, relay);
  const json = async (headers: Record<string, string> = {}) => {
    const reply = await fetch(`${relay.url}/metrics`, { headers: { accept: "application/json", ...headers } });
    return (await reply.json()) as Record<string, unknown>;
  };
  const text = async (headers: Record<string, string> = {}) =>
    (await fetch(`${relay.url}/metrics`, { headers })).text();
  return { relay, v1: `${relay.url}/v1`, json, text };
}

const PLAN = {
  "x-codex-primary-used-percent": "12.5",
  "x-codex-primary-window-minutes": "300",
  "x-codex-primary-reset-at": "1800000000",
  "x-codex-secondary-used-percent": "34",
};
const USAGE = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 64 },
  output_tokens: 7,
  output_tokens_details: { reasoning_tokens: 3 },
};
const answer = () =>
  sse([created, delta("Hello"), { ...completed, response: { ...completed.response, usage: USAGE } }], PLAN);
const ask = async (v1: string, over: object = {}) => (await post(`${v1}/chat/completions`, chatBody(over))).text();

/** The values of one metric, by their labels. */
function values(text: string, name: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const [, labels = "", value] = new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`).exec(line) ?? [];
    if (value !== undefined) found[labels] = Number(value);
  }
  return found;
}

describe("as JSON", () => {
  test("counts requests by how they ended, and probes not at all", async () => {
    const { v1, relay, json } = setUp([
      answer,
      refuses(429, { error: { type: "usage_limit_reached", message: "full" } }),
      () => sse([created, delta("Hel"), failed("server_error", "broke")]),
    ]);
    for (let round = 0; round < 3; round += 1) await ask(v1, { stream: round === 2 });
    await fetch(`${v1}/nothing`);
    await fetch(`${relay.url}/health`);
    await eventually(() => relay.activeRequests() === 0);
    expect(await json()).toMatchObject({
      requests_total: 4,
      requests_ok: 1,
      requests_error: 3,
      errors_by_status: { "404": 1, "429": 1, "502": 1 },
      requests_in_flight: 0,
      open_streams: 0,
      clients_gone: 0,
      tokens: { "gpt-5.5": { input: 100, cached: 64, output: 7, reasoning: 3 } },
      upstream_retries: 0,
      unknown_events: {},
      ignored_data: 0,
    });
  });

  test("counts tokens only where upstream says a number", async () => {
    const usage = { input_tokens: "5", input_tokens_details: "none", output_tokens: 7, output_tokens_details: null };
    const odd = { ...completed, response: { ...completed.response, usage } };
    const { v1, json } = setUp([() => sse([created, delta("Hello"), odd])]);
    for (let round = 0; round < 2; round += 1) await ask(v1);
    expect(await json()).toMatchObject({ tokens: { "gpt-5.5": { output: 14 } } });
    expect((await json())["tokens"]).not.toHaveProperty(["gpt-5.5", "input"]);
  });

  test("tells its uptime by the clock", async () => {
    let nowMs = 1_700_000_000_000;
    const { json } = setUp([answer], { now: () => nowMs });
    nowMs += 90_500;
    expect(await json()).toMatchObject({ uptime_seconds: 90 });
  });

  test("shows streams while they are open, and clients that left", async () => {
    const { v1, json } = setUp([() => sseThenSilence([created, delta("Hel")])]);
    const leaving = new AbortController();
    const reply = await post(`${v1}/chat/completions`, chatBody({ stream: true }), {}, leaving.signal);
    await reply.body?.getReader().read();
    expect(await json()).toMatchObject({ open_streams: 1, requests_in_flight: 1, requests_total: 0 });
    leaving.abort();
    let after = await json();
    for (let round = 0; round < 100 && after["open_streams"] !== 0; round += 1) {
      await Bun.sleep(10);
      after = await json();
    }
    expect(after).toMatchObject({ open_streams: 0, clients_gone: 1, errors_by_status: { "499": 1 } });
  });

  test("counts retries, drift and data that is no event", async () => {
    const odd = [created, { type: "response.brand_new.happened" }, { type: "response.brand_new.happened" }];
    const { v1, json } = setUp([
      () => sse([created, failed("server_is_overloaded", "busy")]),
      () => new Response(frames([...odd, delta("Hello"), completed]) + "data: [DONE]\n\n", EVENT_STREAM),
      () => new Response(`data: {broken\n\n${frames([created, delta("Hello"), completed])}`, EVENT_STREAM),
    ]);
    await ask(v1);
    await ask(v1);
    expect(await json()).toMatchObject({
      upstream_retries: 1,
      unknown_events: { "response.brand_new.happened": 2 },
      ignored_data: 2,
    });
  });

  test("invented event types cannot fill the memory", async () => {
    const many = Array.from({ length: 100 }, (_, index) => ({ type: `response.new_${index}` }));
    const { v1, json } = setUp([() => sse([created, ...many, delta("Hello"), completed])]);
    await ask(v1);
    const counts = (await json())["unknown_events"] as Record<string, number>;
    expect(Object.keys(counts)).toHaveLength(33);
    expect(counts["other"]).toBe(68);
  });

  test("shows the plan's windows, but not to strangers", async () => {
    const { v1, json, text } = setUp([answer], { relay: { apiKey: "owner-key" } });
    const key = { authorization: "Bearer owner-key" };
    await (await post(`${v1}/chat/completions`, chatBody(), key)).text();
    expect(await json(key)).toMatchObject({
      plan_windows: [
        {
          meter: "codex",
          window: "primary",
          used_percent: 12.5,
          window_minutes: 300,
          resets_at: "2027-01-15T08:00:00.000Z",
        },
        { meter: "codex", window: "secondary", used_percent: 34, window_minutes: null, resets_at: null },
      ],
    });
    for (const headers of [{}, { authorization: "Bearer wrong" }, { "x-api-key": "owner-kez" }]) {
      expect(await json(headers)).toMatchObject({ requests_total: 1 });
      expect(await json(headers)).not.toHaveProperty("plan_windows");
      expect(await text(headers)).not.toContain("plan_used");
    }
  });

  test("shows renewals of the login where they are counted", async () => {
    const credentials: CredentialProvider = { ...fixedCredentials(), refreshes: { ok: 2, failed: 1 } };
    const { json, text } = setUp([answer], { credentials });
    expect(await json()).toMatchObject({ token_refreshes: { ok: 2, failed: 1 } });
    expect(values(await text(), "plansocket_token_refreshes_total")).toEqual({
      'result="ok"': 2,
      'result="failed"': 1,
    });
  });
});

describe("for Prometheus", () => {
  test("counts by route, dialect, status and code", async () => {
    const { v1, relay, text } = setUp([answer, refuses(500, { error: { code: "wörd {", message: "x" } })]);
    await ask(v1);
    await (await post(`${relay.url}/responses`, { model: "gpt-5.5", input: "hi" })).text();
    await fetch(`${v1}/who/knows/${"x".repeat(100)}`);
    await fetch(`${v1}/models`);
    const shown = values(await text(), "plansocket_requests_total");
    expect(shown).toMatchObject({
      'route="/v1/chat/completions",dialect="chat",status="200",code=""': 1,
      'route="/v1/models",dialect="none",status="200",code=""': 1,
    });
    expect(
      Object.keys(shown).filter((labels) => labels.startsWith('route="other",dialect="none",status="404"')),
    ).toHaveLength(1);
    expect(
      Object.keys(shown).filter((labels) => labels.startsWith('route="/v1/responses",dialect="responses",status="50')),
    ).toHaveLength(1);
  });

  test("has histograms whose buckets add up", async () => {
    const clock = [0, 40, 700];
    const { v1, text } = setUp([answer], { elapsed: () => clock.shift() ?? 0 });
    await ask(v1);
    const shown = await text();
    const buckets = values(shown, "plansocket_request_duration_seconds_bucket");
    expect(buckets['dialect="chat",le="0.5"']).toBe(0);
    expect(buckets['dialect="chat",le="1"']).toBe(1);
    expect(buckets['dialect="chat",le="+Inf"']).toBe(1);
    expect(values(shown, "plansocket_request_duration_seconds_sum")).toEqual({ 'dialect="chat"': 0.7 });
    expect(values(shown, "plansocket_request_duration_seconds_count")).toEqual({ 'dialect="chat"': 1 });
    expect(values(shown, "plansocket_time_to_first_token_seconds_sum")).toEqual({ 'dialect="chat"': 0.04 });
  });

  test("labels only models that exist", async () => {
    const { v1, text } = setUp([answer], { upstream: { models: ["mine"] } });
    await fetch(`${v1}/models`);
    await ask(v1);
    await ask(v1, { model: "mine" });
    const { v1: offline, text: offlineText } = setUp([answer], { upstream: { responsesPath: "/responses" } });
    await ask(offline, { model: "hidden-one" });
    expect(values(await text(), "plansocket_tokens_total")).toMatchObject({
      'model="gpt-5.5",kind="input"': 100,
      'model="mine",kind="output"': 7,
    });
    expect(values(await offlineText(), "plansocket_tokens_total")).toMatchObject({
      'model="hidden-one",kind="cached"': 64,
    });
  });

  test("a Codex client's invented model is 'other'", async () => {
    const { v1, text } = setUp([answer]);
    await fetch(`${v1}/models`);
    for (let round = 0; round < 3; round += 1) {
      const body = { model: `invented-${round}`, input: [], stream: true, store: false };
      await (await post(`${v1}/responses`, body, { originator: "codex_cli_rs" })).text();
    }
    const models = Object.keys(values(await text(), "plansocket_tokens_total")).map((labels) => labels.split(",")[0]);
    expect(new Set(models)).toEqual(new Set(['model="other"']));
  });

  test("shows the plan as ratio and moment", async () => {
    const { v1, text } = setUp([answer]);
    await ask(v1);
    const shown = await text();
    expect(values(shown, "plansocket_plan_used_ratio")).toEqual({
      'meter="codex",window="primary"': 0.125,
      'meter="codex",window="secondary"': 0.34,
    });
    expect(values(shown, "plansocket_plan_reset_timestamp_seconds")).toEqual({
      'meter="codex",window="primary"': 1_800_000_000,
    });
  });

  test("escapes what labels may not hold", () => {
    expect(metricText("m", "gauge", "Help.", [{ labels: { a: 'x"\\\ny' }, value: 1 }])).toBe(
      '# HELP m Help.\n# TYPE m gauge\nm{a="x\\"\\\\\\ny"} 1\n',
    );
  });

  test("is the same under the path that other tools use, and text unless JSON is asked for", async () => {
    const { relay } = setUp([answer]);
    for (const path of ["/metrics", "/metrics/prometheus"]) {
      const reply = await fetch(`${relay.url}${path}`, { headers: { accept: "*/*" } });
      expect(reply.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(await reply.text()).toContain("plansocket_build_info{");
    }
  });

  const promtool = Bun.which("promtool");
  test.skipIf(promtool === null)("promtool has nothing to say against it", async () => {
    const credentials: CredentialProvider = { ...fixedCredentials(), refreshes: { ok: 2, failed: 1 } };
    const { v1, text } = setUp([() => sse([created, { type: "response.odd" }, delta("a"), completed], PLAN), answer], {
      credentials,
    });
    const empty = await text();
    await ask(v1);
    await ask(v1, { stream: true });
    await fetch(`${v1}/nothing`);
    for (const shown of [empty, await text()]) {
      const check = Bun.spawn([promtool ?? "", "check", "metrics"], {
        stdin: new Blob([shown]),
        stdout: "pipe",
        stderr: "pipe",
      });
      const said = (await new Response(check.stdout).text()) + (await new Response(check.stderr).text());
      expect({ code: await check.exited, said }).toEqual({ code: 0, said: "" });
    }
  });
});

const EVENT_STREAM = { headers: { "content-type": "text/event-stream" } };

function frames(events: object[]): string {
  return events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
}

test("keys are counted by name, for those who have one", async () => {
  const keys = new TestKeys();
  try {
    const { v1, relay, json, text } = setUp([answer], keys.forRelay);
    const laptop = bearer(await keys.add("laptop", { models: ["gpt-5.5"] }));
    for (const model of ["gpt-5.5", "gpt-5.5", "gpt-5.6-sol"]) {
      await (await post(`${v1}/chat/completions`, chatBody({ model }), laptop)).text();
    }
    expect((await post(`${v1}/chat/completions`, chatBody(), bearer("plsk_wrong"))).status).toBe(401);
    await eventually(() => relay.activeRequests() === 0);
    const seen = await text(laptop);
    expect(values(seen, "plansocket_key_requests_total")).toEqual({
      'key="laptop",status="200"': 2,
      'key="laptop",status="404"': 1,
    });
    expect(values(seen, "plansocket_key_tokens_total")).toMatchObject({ 'key="laptop",kind="input"': 200 });
    expect(await json(laptop)).toMatchObject({
      requests_by_key: { laptop: { "200": 2, "404": 1 } },
      tokens_by_key: { laptop: { input: 200, cached: 128, output: 14, reasoning: 6 } },
    });
    expect((await text()) + JSON.stringify(await json())).not.toContain("laptop");
  } finally {
    keys.remove();
  }
});
