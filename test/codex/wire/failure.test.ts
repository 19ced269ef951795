import { describe, expect, test } from "bun:test";
import { eventFailure, httpFailure } from "../../../src/codex/wire/failure.ts";
import { retryPauseMs } from "../../../src/upstream/retry-pause.ts";
import type { CodexEvent } from "../../../src/codex/wire/schema.ts";

const NOW = 1_700_000_000_000;

function http(status: number, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return httpFailure({ status, headers: new Headers({ "content-type": "application/json", ...headers }), text }, NOW);
}

function seen(error: ReturnType<typeof http>) {
  return { status: error.status, type: error.type, code: error.wireCode, param: error.param ?? null };
}

test("a redirect is no refusal of the backend's own, and Codex clients do not get it either", () => {
  const error = http(307, "", { location: "https://portal.example/login" });
  expect(seen(error)).toEqual({ status: 502, type: "server_error", code: "upstream_error", param: null });
  expect([error.upstreamBody, error.shouldRetry]).toEqual([undefined, false]);
  expect(`${error.message} ${error.hint}`).toMatch(/307.*--base-url/);
});

describe("a refusal over HTTP", () => {
  test.each([
    [
      400,
      { detail: "Unsupported parameter: foo" },
      { status: 400, type: "invalid_request_error", code: null, param: "foo" },
    ],
    [
      400,
      { detail: "The 'gpt-9' model is not supported when using Codex with a ChatGPT account." },
      { status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" },
    ],
    [
      400,
      { error: { code: "invalid_prompt", message: "No.", type: "invalid_request_error", param: "input" } },
      { status: 400, type: "invalid_request_error", code: "invalid_prompt", param: "input" },
    ],
    [
      401,
      { detail: "Unauthorized" },
      { status: 401, type: "authentication_error", code: "invalid_api_key", param: null },
    ],
    [
      402,
      { detail: { code: "deactivated_workspace" } },
      { status: 429, type: "insufficient_quota", code: "deactivated_workspace", param: null },
    ],
    [403, { detail: "Forbidden" }, { status: 403, type: "permission_error", code: "access_denied", param: null }],
    [404, { detail: "Not Found" }, { status: 502, type: "server_error", code: "upstream_error", param: null }],
    [
      404,
      { error: { code: "model_not_found", message: "gone" } },
      { status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" },
    ],
    [
      413,
      { detail: "too big" },
      { status: 413, type: "invalid_request_error", code: "request_too_large", param: null },
    ],
    [
      429,
      { error: { type: "usage_not_included", message: "No." } },
      { status: 429, type: "insufficient_quota", code: "usage_not_included", param: null },
    ],
    [429, { detail: "slow" }, { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded", param: null }],
    [500, {}, { status: 502, type: "server_error", code: "upstream_error", param: null }],
    [
      503,
      { error: { code: "slow_down", message: "later" } },
      { status: 429, type: "rate_limit_error", code: "slow_down", param: null },
    ],
  ])("%i %j", (status, body, expected) => {
    expect(seen(http(status, body))).toEqual(expected);
  });

  test("without a message tells its code", () => {
    expect(http(402, { detail: { code: "deactivated_workspace" } }).message).toBe(
      "Upstream refused the request with 402: deactivated_workspace.",
    );
    expect(http(400, {}).message).toBe("Upstream refused the request with 400.");
  });

  test("a usage limit carries plan, reset time and no invitation to repeat", () => {
    const body = {
      error: {
        type: "usage_limit_reached",
        message: "The usage limit has been reached",
        plan_type: "plus",
        resets_in_seconds: 5400,
      },
    };
    const error = http(429, body);
    expect(error.message).toBe("The usage limit has been reached (plan plus, resets in 1 h 30 min).");
    expect(error.retryAfterMs).toBe(5_400_000);
    expect(error.shouldRetry).toBe(false);
  });

  test("a reset moment is turned into a wait", () => {
    const error = http(429, { error: { type: "usage_limit_reached", resets_at: NOW / 1000 + 60 } });
    expect(error.retryAfterMs).toBe(60_000);
  });

  test("retry-after counts when the body says nothing", () => {
    expect(http(429, {}, { "retry-after": "7" }).retryAfterMs).toBe(7000);
    expect(http(429, {}, { "retry-after": new Date(NOW + 9000).toUTCString() }).retryAfterMs).toBe(9000);
  });

  test("a full window's end counts when nothing else says how long", () => {
    const window = (which: string, used: number, after: number) => ({
      [`x-codex-${which}-used-percent`]: String(used),
      [`x-codex-${which}-reset-after-seconds`]: String(after),
    });
    const body = { error: { type: "usage_limit_reached", message: "Enough" } };
    const headers = { ...window("primary", 100, 60), ...window("secondary", 100, 7200) };
    expect(http(429, body, headers).retryAfterMs).toBe(7_200_000);
    expect(http(429, body, headers).message).toBe("Enough (resets in 2 h 0 min).");
    expect(http(429, body, { ...headers, ...window("secondary", 99, 7200) }).retryAfterMs).toBe(60_000);
    expect(http(429, body, window("primary", 99, 60)).retryAfterMs).toBeUndefined();
    expect(http(500, {}, headers).retryAfterMs).toBeUndefined();
  });

  test.each([
    ["Please try again in 1.5s.", 1500],
    ["try again in 300 ms", 300],
    ["Please try again in 6m12s.", 372_000],
    ["Try again in 1h2m3.5s", 3_723_500],
    ["try again in 2 days, 3 hours and 1 minute", 183_660_000],
    ["try again in 5 moons", undefined],
  ])("%s", (message, waitMs) => {
    expect(http(429, { error: { code: "rate_limit_exceeded", message } }).retryAfterMs).toBe(waitMs as number);
  });

  test("a server in trouble may say how long", () => {
    expect(http(503, { detail: "maintenance" }, { "retry-after": "11" }).retryAfterMs).toBe(11_000);
    expect(http(502, "<html>bad", { "retry-after": "11", "content-type": "text/html" }).retryAfterMs).toBe(11_000);
    expect(http(500, {}).retryAfterMs).toBeUndefined();
  });

  test("the backend's words for the person, which only a header holds, are shown (contract 0.8)", () => {
    const text = "Ask the owner of your workspace.";
    const error = http(403, { detail: "Forbidden" }, { "x-openai-authorization-error": text });
    expect(error.explanation).toBe(`Forbidden. ${text}`);
    expect(error.headers["x-openai-authorization-error"]).toBe(text);
  });

  test("a Cloudflare page never reaches the client", () => {
    const error = httpFailure(
      {
        status: 403,
        headers: new Headers({ "content-type": "text/html", "cf-mitigated": "challenge" }),
        text: "<html>Just a moment",
      },
      NOW,
    );
    expect(error.status).toBe(502);
    expect(error.wireCode).toBe("access_denied");
    expect(error.message + (error.hint ?? "")).not.toContain("<");
  });

  test.each([
    [
      403,
      { server: "squid/6.6", "x-squid-error": "ERR_ACCESS_DENIED 0" },
      "A proxy on the way (squid/6.6) answered 403",
    ],
    [503, { "x-squid-error": "ERR_DNS_FAIL 0" }, "A proxy on the way (squid) answered 503"],
    [403, { server: "Zscaler/6.2" }, "A proxy on the way (Zscaler/6.2) answered 403"],
    [503, { via: "1.1 gate.example (squid/5.2)" }, "A proxy on the way (squid/5.2) answered 503"],
    [407, { "proxy-authenticate": "Basic" }, "The proxy on the way asks for credentials (407)."],
    [403, { server: "nginx" }, "Upstream answered 403 with a web page instead of JSON."],
  ])("a page with status %d and the headers %j is not called Cloudflare's", (status, headers, message) => {
    const error = httpFailure(
      { status, headers: new Headers({ "content-type": "text/html", ...headers }), text: "<html>Denied" },
      NOW,
    );
    expect(error.message).toStartWith(message);
    expect(error.explanation).not.toContain("Cloudflare");
    expect(error.hint).toContain("--proxy");
    expect(error.shouldRetry).toBe(status === 503 ? undefined : false);
  });

  test("a list of validation details becomes one sentence", () => {
    expect(http(422, { detail: [{ loc: ["body", "input"], msg: "field required" }] }).message).toBe(
      "body.input: field required",
    );
  });
});

describe("a failure inside a stream", () => {
  const failed = (error: object) => ({ type: "response.failed", response: { error } }) as CodexEvent;

  test.each([
    [
      failed({ code: "context_length_exceeded", message: "Your input exceeds the context window of this model." }),
      400,
      "context_length_exceeded",
    ],
    [failed({ code: "server_is_overloaded", message: "busy" }), 503, "server_is_overloaded"],
    [failed({ code: "insufficient_quota", message: "none left" }), 429, "insufficient_quota"],
    [failed({ code: "cyber_policy", message: "no" }), 400, "cyber_policy"],
    [failed({ code: "server_error", message: "oops" }), 502, "server_error"],
    [failed({}), 502, "upstream_error"],
    [{ type: "response.failed" } as unknown as CodexEvent, 502, "upstream_error"],
    [{ type: "error", code: "rate_limit_exceeded", message: "Slow" }, 429, "rate_limit_exceeded"],
    [{ type: "error", status: 400, error: { code: "invalid_prompt", message: "x" } }, 400, "invalid_prompt"],
    [{ type: "response.cancelled", response: {} }, 502, "upstream_error"],
  ])("%j", (event, status, code) => {
    const error = eventFailure(event as CodexEvent, NOW);
    expect([error.status, error.wireCode]).toEqual([status, code]);
  });

  test.each([
    ["budget_reached", 429, false],
    ["organization_spend_limit_exceeded", 429, false],
    ["access_program_not_enabled", 403, false],
    ["policy_capacity_unavailable", 403, false],
    ["content_policy_violation", 400, undefined],
    ["bio_policy", 400, undefined],
    ["model_not_found", 404, undefined],
    ["audio_too_large", 400, undefined],
    ["slow_down", 429, undefined],
  ])("%s is what it is, whatever its message says (contract 0.8)", (code, status, shouldRetry) => {
    const error = eventFailure(failed({ code, message: "The model is at capacity." }), NOW);
    expect([error.status, error.wireCode, error.shouldRetry]).toEqual([status, code, shouldRetry]);
    const isRepeated = retryPauseMs(error, 0, 0) !== undefined;
    expect(isRepeated).toBe(code === "slow_down");
  });

  test("an error that is a bare text keeps it", () => {
    expect(eventFailure({ type: "error", error: "Boom" } as unknown as CodexEvent, NOW).message).toBe("Boom");
    const event = { type: "response.failed", response: { error: "Boom" } } as unknown as CodexEvent;
    expect(eventFailure(event, NOW).message).toBe("Boom");
  });

  test("the wait is read out of the text", () => {
    const error = eventFailure(failed({ code: "rate_limit_exceeded", message: "Please try again in 1.5s." }), NOW);
    expect(error.retryAfterMs).toBe(1500);
    expect(
      eventFailure(failed({ code: "rate_limit_exceeded", message: "try again in 300 ms" }), NOW).retryAfterMs,
    ).toBe(300);
  });
});

test.each([
  ["the short form inside an error, as sockets have it", { error: { detail: "Unsupported parameter: foo" } }],
  ["the short form itself", { detail: "Unsupported parameter: foo" }],
  ["a list of details", { error: { detail: [{ msg: "Unsupported parameter: foo" }] } }],
])("an error keeps its sentence and its field in %s", (_name, body) => {
  expect(http(400, body)).toMatchObject({ message: "Unsupported parameter: foo", param: "foo" });
  const failure = eventFailure({ type: "error", status: 400, ...body }, NOW);
  expect(failure.message).toBe("Unsupported parameter: foo");
});

test("the refused field is read out of the backend's sentence where it says it nowhere else", () => {
  const param = (detail: string) => http(400, { detail }).param;
  expect(param("Unsupported parameter: text.verbosity")).toBe("text.verbosity");
  expect(param("Unknown parameter: 'input[3].namespace'.")).toBe("input[3].namespace");
  expect(param("Something else")).toBeUndefined();
});
