import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";
import { certificate } from "../support/certificate.ts";
import { expectAnswer, loginByDevice, spoilAccessToken } from "../support/device-login.ts";
import { canRunProxy, startProxy, withHosts, type Proxy } from "../support/tinyproxy.ts";

const LOGIN = "login.relay.test";
const BACKEND = "backend.relay.test";

/** Needs tinyproxy, openssl and the right to give names to 127.0.0.1 for one process (root, on Linux). */
describe.skipIf(!canRunProxy())("with a real outbound proxy", () => {
  let folder: string;
  let backend: StandIn;
  let proxy: Proxy;
  let home: CommandHome;
  let port: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plansocket-outbound-"));
    const tls = certificate(folder, [LOGIN, BACKEND]);
    backend = startStandIn({ tls });
    ({ port } = new URL(backend.origin));
    proxy = await startProxy([LOGIN, BACKEND]);
    home = new CommandHome(
      {
        PLANSOCKET_ISSUER: `https://${LOGIN}:${port}`,
        PLANSOCKET_BASE_URL: `https://${BACKEND}:${port}/backend-api/codex`,
        NODE_EXTRA_CA_CERTS: tls.authority,
        HTTPS_PROXY: proxy.url,
      },
      withHosts(folder, [LOGIN, BACKEND]),
    );
  });
  afterAll(async () => {
    await proxy.stop();
    await backend.stop();
    home.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const authFile = () => join(home.path, ".codex/auth.json");

  /** Login, renewal, models, traffic, usage and logout; whom the proxy was asked for at each step. */
  async function everything(env: Readonly<Record<string, string>>) {
    proxy.tunnels();
    await loginByDevice(home, backend.origin, env);
    const duringLogin = proxy.tunnels();

    // Due for renewal: the relay has to go to the login service before it can send.
    backend.expireAccessTokens();
    spoilAccessToken(authFile());
    await expectAnswer(home, [], env);
    const duringTraffic = proxy.tunnels();

    expect((await home.run(["usage"], env)).code).toBe(0);
    const duringUsage = proxy.tunnels();
    expect(await home.run(["logout", "--yes"], env)).toMatchObject({
      code: 0,
      err: expect.stringContaining("and the login ended"),
    });
    const duringLogout = proxy.tunnels();
    return { duringLogin, duringTraffic, duringUsage, duringLogout };
  }

  const only = (tunnels: readonly string[]) => [...new Set(tunnels)].toSorted();

  test("login, renewal, traffic, usage and logout all go through it", async () => {
    const seen = await everything({});
    expect(only(seen.duringLogin)).toEqual([`${LOGIN}:${port}`]);
    expect(only(seen.duringTraffic)).toEqual([`${BACKEND}:${port}`, `${LOGIN}:${port}`]);
    expect(only(seen.duringUsage)).toEqual([`${BACKEND}:${port}`]);
    expect(only(seen.duringLogout)).toEqual([`${LOGIN}:${port}`]);
    // Nothing but the expired token was refused.
    expect(only(backend.refusals.map((refusal) => String(refusal.status)))).toEqual(["401"]);
  }, 30_000);

  test("hosts in NO_PROXY never do, whichever of them it names", async () => {
    const none = await everything({ NO_PROXY: ".relay.test" });
    expect(Object.values(none).flat()).toEqual([]);
    const some = await everything({ NO_PROXY: `example.com, ${BACKEND}:${port}` });
    expect(only(Object.values(some).flat())).toEqual([`${LOGIN}:${port}`]);
    const other = await everything({ no_proxy: LOGIN });
    expect(only(Object.values(other).flat())).toEqual([`${BACKEND}:${port}`]);
  }, 60_000);

  test.each([
    [
      "wrong credentials",
      () => proxy.url.replace("s3cret-word", "wrong-word"),
      "ERR_PROXY_TUNNEL 401",
      "asks for credentials",
    ],
    [
      "no credentials",
      () => proxy.url.replace("somebody:s3cret-word@", ""),
      "ERR_PROXY_TUNNEL 407",
      "asks for credentials",
    ],
    ["nobody there", () => "http://somebody:s3cret-word@127.0.0.1:9", "ECONNREFUSED", "and that it runs"],
  ])(
    "%s: the proxy is named, its password is not",
    async (_case, url, reason, fix) => {
      for (const args of [["login", "--device"], ["usage"]]) {
        const access = backend.issueLogin().accessToken;
        const env = { HTTPS_PROXY: url(), ...(args[0] === "login" ? {} : { OPENAI_ACCESS_TOKEN: access }) };
        const { err, out } = await home.run(args, { ...env, PLANSOCKET_LOG_LEVEL: "debug" });
        expect(err + out).toContain(`through the proxy http://127.0.0.1:${new URL(url()).port} (${reason})`);
        expect(err).toContain(fix);
        expect(err + out).not.toMatch(/s3cret|wrong-word|somebody/);
      }
    },
    30_000,
  );
});
