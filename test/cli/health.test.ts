import { afterEach, beforeEach, expect, test } from "bun:test";
import { RelayError } from "../../src/lib/errors.ts";
import { CommandHome } from "../support/cli.ts";
import { holdClosedPort } from "../support/ports.ts";
import { fixedCredentials, startTestRelay, type TestRelay } from "../support/relay.ts";

const BACKEND = "http://127.0.0.1:9";

let home: CommandHome;
let relay: TestRelay;
beforeEach(() => {
  home = new CommandHome();
  relay = startTestRelay({ baseUrl: BACKEND, relay: { apiKey: "key" } });
});
afterEach(async () => {
  await relay.stop();
  home.remove();
});

test("a relay that answers is 0, by flag, environment or address, and needs no key", async () => {
  const port = String(relay.port);
  for (const [args, env] of [
    [["--url", relay.url], {}],
    [["--url", `${relay.url}/v1/`], {}],
    [["--port", port], {}],
    [["--host", "0.0.0.0", "--port", port], {}],
    [[], { PLANSOCKET_PORT: port }],
    [[], { PLANSOCKET_CONTAINER: "1", HOST: "0.0.0.0", PORT: port }],
    // A proxy has no part in it.
    [["--port", port], { HTTP_PROXY: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9" }],
  ] as const) {
    const { code, out, err } = await home.run(["health", ...args], env);
    expect([code, out, err]).toEqual([0, expect.stringMatching(/^plansocket \S+ answers on http:\/\/\S+\n$/), ""]);
  }
});

test("--json is the relay's own answer", async () => {
  const { code, out } = await home.run(["health", "--port", String(relay.port), "--ready", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ url: relay.url, name: "plansocket", instance: relay.instanceId });
  expect(JSON.parse(out)).toMatchObject({ status: "ready", mode: "chatgpt" });
});

test("plain PORT outside the image is not looked at", async () => {
  const { code, err } = await home.run(["health", "--host", "127.0.0.9"], { PORT: String(relay.port) });
  expect([code, err]).toEqual([1, expect.stringContaining("Nothing listens on http://127.0.0.9:8787.")]);
});

test("nobody there, and somebody else there, are 1", async () => {
  const stranger = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ status: "ok" }) });
  const other = await home.run(["health", "--port", String(stranger.port)]);
  expect([other.code, other.err]).toEqual([1, expect.stringContaining("is no plansocket")]);
  await stranger.stop(true);
  await using closed = await holdClosedPort();
  const nobody = await home.run(["health", "--port", String(closed.port)]);
  expect([nobody.code, nobody.err, nobody.out]).toEqual([1, expect.stringContaining("plansocket serve"), ""]);
});

test("--ready is 1 while there is no login", async () => {
  const fail = () => Promise.reject(new RelayError("codex_auth_required", "No login."));
  await using alone = startTestRelay({
    baseUrl: BACKEND,
    credentials: { ...fixedCredentials(), current: fail, recover: fail },
  });
  const port = String(alone.port);
  expect((await home.run(["health", "--port", port])).code).toBe(0);
  const { code, err } = await home.run(["health", "--port", port, "--ready"]);
  expect([code, err]).toEqual([1, expect.stringContaining("not ready (codex_auth_required)")]);
});

test("a value that is no address is wrong usage", async () => {
  const { code, err } = await home.run(["health", "--url", "localhost"]);
  expect([code, err]).toEqual([2, expect.stringContaining("It is like http://127.0.0.1:8787.")]);
});
