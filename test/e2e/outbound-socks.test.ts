import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { certificate, type Certificate } from "../support/certificate.ts";
import { CommandHome } from "../support/cli.ts";
import { expectAnswer, loginByDevice, spoilAccessToken } from "../support/device-login.ts";
import { canRunSocks, startSocks, type SocksServer } from "../support/microsocks.ts";

const LOGIN = "login.relay.test";
const BACKEND = "backend.relay.test";

/** Needs microsocks, openssl and the right to give names to 127.0.0.1 for one process (root, on Linux). */
describe.skipIf(!canRunSocks())("with a real SOCKS server", () => {
  let folder: string;
  let backend: StandIn;
  let socks: SocksServer;
  let home: CommandHome;
  let port: string;
  let tls: Certificate;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plansocket-socks-"));
    tls = certificate(folder, [LOGIN, BACKEND]);
    backend = startStandIn({ tls });
    ({ port } = new URL(backend.origin));
    socks = await startSocks(folder, [LOGIN, BACKEND]);
    // Nothing but the SOCKS server knows these names.
    home = new CommandHome({
      PLANSOCKET_ISSUER: `https://${LOGIN}:${port}`,
      PLANSOCKET_BASE_URL: `https://${BACKEND}:${port}/backend-api/codex`,
      CODEX_CA_CERTIFICATE: tls.authority,
    });
  });
  afterAll(async () => {
    await socks.stop();
    await backend.stop();
    home.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const only = (all: readonly string[]) => [...new Set(all)].toSorted();

  test("login, renewal, traffic on both transports, doctor and logout go through ALL_PROXY=socks5h://", async () => {
    const env = { ALL_PROXY: `socks5h://${socks.authority}` };
    await loginByDevice(home, backend.origin, env);
    expect(only(socks.connections())).toEqual([`${LOGIN}:${port}`]);

    backend.expireAccessTokens();
    const authFile = join(home.path, ".codex/auth.json");
    spoilAccessToken(authFile);
    for (const transport of ["http", "websocket"]) await expectAnswer(home, ["--transport", transport], env);
    expect(only(socks.connections())).toEqual([`${BACKEND}:${port}`, `${LOGIN}:${port}`]);

    const doctor = await home.run(["doctor"], env);
    expect(doctor.out).toContain(`through socks5h://127.0.0.1:${socks.port} (set by ALL_PROXY)`);
    expect(doctor.out).toContain("(CODEX_CA_CERTIFICATE)");
    expect(doctor.out + doctor.err).not.toContain("s3cret-word");
    expect((await home.run(["logout", "--yes"], env)).err).toContain("and the login ended");
    expect(only(socks.connections())).toEqual([`${BACKEND}:${port}`, `${LOGIN}:${port}`]);
  }, 60_000);

  test.each([
    ["wrong credentials", (authority: string) => authority.replace("s3cret", "wrong"), "asks for credentials"],
    ["nobody there", () => "127.0.0.1:9", "ECONNREFUSED"],
  ])(
    "%s: the proxy is named, its password is not",
    async (_case, change, words) => {
      const env = {
        HTTPS_PROXY: `socks5h://${change(socks.authority)}`,
        OPENAI_ACCESS_TOKEN: backend.issueLogin().accessToken,
      };
      const { code, err } = await home.run(["usage"], env);
      expect(code).toBe(1);
      expect(err).toContain("through the proxy socks5h://127.0.0.1:");
      expect(err).toContain(words);
      expect(err).not.toMatch(/s3cret|wrong-word|somebody/);
    },
    30_000,
  );

  test("NO_PROXY exempts a host, which is then asked directly", async () => {
    const env = {
      ALL_PROXY: `socks5h://${socks.authority}`,
      NO_PROXY: `10.0.0.0/8,${BACKEND}:${port}`,
      OPENAI_ACCESS_TOKEN: backend.issueLogin().accessToken,
    };
    expect((await home.run(["usage"], env)).err).toContain("could not be looked up");
    expect(socks.connections()).toEqual([]);
  }, 30_000);
});
