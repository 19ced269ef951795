import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { asOthers, canBeOthers, expired, usePatient } from "../../support/doctor.ts";

const patient = usePatient();

/** A server that answers everything by `answer`, for as long as `use` takes. */
async function withServer<Result>(
  answer: (request: Request) => Response | Promise<Response>,
  use: (origin: string, host: string) => Promise<Result>,
): Promise<Result> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  try {
    return await use(`http://127.0.0.1:${server.port}`, `127.0.0.1:${server.port}`);
  } finally {
    await server.stop(true);
  }
}

const OUTSIDE = { PLANSOCKET_BASE_URL: "https://backend.invalid/backend-api/codex" };
const later = "Try again in a moment.";

describe("what the backend says", () => {
  const relogin = "Run `plansocket login` (or `codex login`) to sign in again.";
  const limit = { type: "usage_limit_reached", message: "The usage limit has been reached", plan_type: "plus" };
  test.each<[string, number, object, string, string]>([
    [
      "the plan is used up",
      429,
      { error: { ...limit, resets_in_seconds: 13_872 } },
      "The usage limit has been reached (plan plus, resets in 3 h 52 min).",
      "Wait until the window resets; `plansocket usage` shows it.",
    ],
    [
      "a workspace that is switched off",
      402,
      { detail: { code: "deactivated_workspace" } },
      "Upstream refused the request with 402: deactivated_workspace.",
      "The workspace of this login is switched off: ask its administrator, or sign in with another account.",
    ],
    [
      "a plan without Codex",
      403,
      { error: { code: "usage_not_included", message: "Not in this plan." } },
      "Not in this plan.",
      "Sign in with an account that may use Codex: `plansocket login`.",
    ],
    [
      "no access",
      403,
      { detail: "Forbidden" },
      "Forbidden",
      "Sign in with an account that may use Codex: `plansocket login`.",
    ],
    ["nothing at this address", 404, { detail: "Not Found" }, "Not Found", "Check the address that --base-url gives."],
    ["an outage", 502, { detail: "Bad gateway" }, "Bad gateway", later],
    ["too much at once", 429, { error: { code: "rate_limit_exceeded", message: "Slow down." } }, "Slow down.", later],
    ["the login is refused, and the renewed one too", 401, { detail: "Unauthorized" }, "Unauthorized", relogin],
  ])("%s", async (_case, status, body, summary, fix) => {
    patient.writeLogin();
    await withServer(
      () => Response.json(body, { status }),
      async (origin) => {
        const { code, find } = await patient.examine(["--base-url", `${origin}/backend-api/codex`]);
        expect([code, find("backend")]).toEqual([1, { id: "backend", status: "fail", summary, fix }]);
        expect(find("models")?.status).toBe("skip");
      },
    );
  });

  test("is shown without the token that it repeats, and without tricks", async () => {
    patient.writeLogin();
    const answer = (request: Request) =>
      Response.json(
        { error: { message: `no\u001b[2J ${request.headers.get("authorization")}`, code: "x" } },
        { status: 400 },
      );
    await withServer(answer, async (origin) => {
      const { find } = await patient.examine(["--base-url", `${origin}/backend-api/codex`]);
      expect(find("backend")?.summary).toBe("no Bearer [hidden]");
    });
  });

  test("of an API key is told in its words", async () => {
    patient.writeLogin({ auth_mode: "apikey", OPENAI_API_KEY: patient.backend.issueApiKey() });
    const error = {
      message: "You exceeded your current quota.",
      type: "insufficient_quota",
      code: "insufficient_quota",
    };
    await withServer(
      () => Response.json({ error }, { status: 429 }),
      async (origin) => {
        const { find } = await patient.examine([], { PLANSOCKET_OPENAI_BASE_URL: `${origin}/v1` });
        expect(find("backend")).toMatchObject({ status: "fail", summary: "You exceeded your current quota." });
        expect(find("clock")?.status).toBe("ok");
      },
    );
  });
});

describe("the login service", () => {
  const html = { "content-type": "text/html" };
  test.each<[string, () => Response, "warn" | "fail", string, string]>([
    [
      "challenges this network",
      () => new Response("<html>", { status: 403, headers: { ...html, "cf-mitigated": "challenge" } }),
      "warn",
      "HOST answers, but Cloudflare challenges this network.",
      "If renewing the login fails, try another network or set --proxy.",
    ],
    [
      "does not serve this region",
      () => Response.json({ error: { code: "unsupported_country_region_territory" } }, { status: 403 }),
      "fail",
      "The login service does not serve your region; set --proxy if your network leaves elsewhere.",
      "Try another network, or set --proxy.",
    ],
    [
      "is blocked",
      () => new Response("<html>Just a moment...", { status: 403, headers: html }),
      "fail",
      "Cloudflare blocked the way to the login service; try another network.",
      "Try another network, or set --proxy.",
    ],
    ["is in trouble", () => new Response("", { status: 503 }), "warn", "HOST answers 503.", later],
  ])("%s", async (_case, answer, status, summary, fix) => {
    patient.writeLogin();
    await withServer(answer, async (origin, host) => {
      const { code, find } = await patient.examine([], { PLANSOCKET_ISSUER: origin });
      expect(find("sign-in")).toEqual({ id: "sign-in", status, summary: summary.replace("HOST", host), fix });
      expect(code).toBe(status === "fail" ? 1 : 0);
    });
  });

  test("and the backend are asked at the same time", async () => {
    patient.writeLogin();
    const both = Promise.withResolvers<void>();
    const asked: string[] = [];
    // Neither gets its answer before the other one has been asked.
    const answer = async (request: Request) => {
      asked.push(new URL(request.url).pathname);
      if (asked.length === 2) both.resolve();
      await both.promise;
      return Response.json({ models: [{ slug: "gpt-5.5" }] });
    };
    await withServer(answer, async (origin) => {
      const env = { PLANSOCKET_ISSUER: origin, PLANSOCKET_BASE_URL: `${origin}/backend-api/codex` };
      expect((await patient.examine([], env)).code).toBe(0);
    });
    expect(asked.toSorted()).toEqual(["/", "/backend-api/codex/models"]);
  });
});

describe("the way out", () => {
  test("says why a proxy is not used", async () => {
    patient.writeLogin();
    const env = { ...OUTSIDE, HTTPS_PROXY: "http://127.0.0.1:9", NO_PROXY: ".invalid" };
    const { find, detail } = await patient.examine([], env);
    const { host } = new URL(patient.backend.issuer);
    expect(find("proxy")).toEqual({
      id: "proxy",
      status: "ok",
      summary: `${host} directly (loopback); backend.invalid directly (NO_PROXY)`,
    });
    expect(detail("proxy")).toEqual({ proxy_for: { [host]: null, "backend.invalid": null } });
    expect(find("backend")?.summary).toMatch(/^backend\.invalid could not be reached \((ENOTFOUND|EAI_AGAIN)\)\.$/);
  });

  test.each([
    [{ HTTP_PROXY: "http://127.0.0.1:9" }, "HTTP_PROXY is not used."],
    [{ HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" }, "HTTP_PROXY and http_proxy are not used."],
  ])("names proxy variables that have no effect: %j", async (variables, words) => {
    patient.writeLogin();
    const { host } = new URL(patient.backend.issuer);
    expect((await patient.examine([], { ...OUTSIDE, ...variables })).find("proxy")).toEqual({
      id: "proxy",
      status: "warn",
      summary: `${host}, backend.invalid directly. ${words}`,
      fix: "If this machine needs a proxy, set HTTPS_PROXY or --proxy.",
    });
    const { find } = await patient.examine([], { ...OUTSIDE, ...variables, HTTPS_PROXY: "http://127.0.0.1:9" });
    expect(find("proxy")?.status).toBe("ok");
  });

  test("may have an authority of its own, if that can be read", async () => {
    patient.writeLogin();
    const fix = "Let NODE_EXTRA_CA_CERTS name PEM certificates, or unset it.";
    const file = join(patient.home.path, "ca.pem");
    const tls = async () => (await patient.examine([], { NODE_EXTRA_CA_CERTS: file })).find("tls");
    expect(await tls()).toEqual({
      id: "tls",
      status: "warn",
      summary: `NODE_EXTRA_CA_CERTS: ${file} is not there.`,
      fix,
    });
    writeFileSync(file, "\u0030\u0082");
    expect(await tls()).toMatchObject({
      status: "warn",
      summary: `NODE_EXTRA_CA_CERTS: ${file} is no PEM file with certificates.`,
    });
  });

  test("meets a port that speaks no TLS", async () => {
    patient.writeLogin();
    const url = patient.backend.baseUrl.replace("http:", "https:");
    expect((await patient.examine(["--base-url", url])).find("backend")).toEqual({
      id: "backend",
      status: "fail",
      summary: `${new URL(url).host} could not be reached (EPROTO).`,
      fix: "No TLS is spoken there: check the address, its https:// and its port.",
    });
  });
});

test("without the backend the models are those of the Codex CLI's cache, else those built in", async () => {
  patient.writeLogin();
  const models = async () =>
    (await patient.examine(["--base-url", "http://127.0.0.1:9/backend-api/codex"])).find("models");
  expect(await models()).toMatchObject({
    status: "skip",
    summary: expect.stringMatching(
      /^the backend gave no list; until it does, clients see the \d+ models \(gpt-6\.2-sol, .*, …\) that came with the relay$/,
    ),
  });
  const cache = { client_version: "0.169.0", models: [{ slug: "gpt-a" }] };
  writeFileSync(join(patient.home.path, ".codex/models_cache.json"), JSON.stringify(cache));
  expect((await models())?.summary).toBe(
    "the backend gave no list; until it does, clients see the 1 model (gpt-a) in the Codex CLI's cache",
  );
});

test("hidden models may want any version", async () => {
  patient.writeLogin();
  const models = [{ slug: "gpt-5.5" }, { slug: "secret", visibility: "hide", minimal_client_version: "9.9.9" }];
  await withServer(
    () => Response.json({ models }),
    async (origin) => {
      const { find } = await patient.examine(["--base-url", `${origin}/backend-api/codex`]);
      expect(find("models")).toEqual({ id: "models", status: "ok", summary: "1 model (gpt-5.5), live" });
    },
  );
});

describe("the port", () => {
  test.skipIf(!canBeOthers)("may not be had by this user", async () => {
    patient.writeLogin();
    expect((await patient.examine(["--port", "81"], {}, asOthers)).find("port")).toEqual({
      id: "port",
      status: "fail",
      summary: "This user may not listen on port 81.",
      fix: "Ports below 1024 belong to the system: choose a higher one with --port.",
    });
  });

  test("is on no address of this machine", async () => {
    patient.writeLogin();
    const args = ["--host", "203.0.113.1", "--port", "48787", "--api-key", "k3y-k3y"];
    expect((await patient.examine(args)).find("port")).toEqual({
      id: "port",
      status: "fail",
      summary: "203.0.113.1 is no address of this machine (EADDRNOTAVAIL).",
      fix: "Leave out --host, or name one of its own addresses.",
    });
  });

  test("is taken by something that says odd things about itself", async () => {
    patient.writeLogin();
    await withServer(
      () => Response.json({ name: "plansocket", version: "1\u001b]0;x\u0007\n✓ all is well" }),
      async (origin) => {
        const { find } = await patient.examine(["--port", new URL(origin).port]);
        expect(find("port")?.summary).toMatch(/^a plansocket 1 ✓ all is well already serves on port \d+/);
      },
    );
  });
});

test("an ended login meets a region that is not served", async () => {
  patient.writeLogin(expired());
  const region = () => Response.json({ error: { code: "unsupported_country_region_territory" } }, { status: 403 });
  await withServer(region, async (origin) => {
    const { find } = await patient.examine([], { PLANSOCKET_ISSUER: origin });
    expect(find("token")?.summary).toEndWith(
      "The login service does not serve your region; set --proxy if your network leaves elsewhere.",
    );
  });
});
