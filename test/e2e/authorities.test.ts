import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { certificate, type Certificate } from "../support/certificate.ts";
import { CommandHome } from "../support/cli.ts";

/** Needs openssl. */
describe.skipIf(!Bun.which("openssl"))("TLS that a company's authority opens (openai/codex#6849)", () => {
  let folder: string;
  let tls: Certificate;
  let backend: StandIn;
  let home: CommandHome;
  let token: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plansocket-authorities-"));
    tls = certificate(folder, ["localhost"], ["127.0.0.1"]);
    mkdirSync(join(folder, "authorities"));
    copyFileSync(tls.authority, join(folder, "authorities/company.pem"));
    backend = startStandIn({ tls });
    home = new CommandHome({
      PLANSOCKET_ISSUER: backend.origin,
      PLANSOCKET_BASE_URL: `${backend.origin}/backend-api/codex`,
    });
    token = backend.issueLogin().accessToken;
  });
  afterAll(async () => {
    await backend.stop();
    home.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const usage = (env: Record<string, string>) => home.run(["usage"], { ...env, OPENAI_ACCESS_TOKEN: token });

  test.each(["CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])(
    "%s is trusted, and doctor names it",
    async (variable) => {
      const env = { [variable]: tls.authority };
      expect(await usage(env)).toMatchObject({ code: 0 });
      const { out } = await home.run(["doctor"], { ...env, OPENAI_ACCESS_TOKEN: token });
      expect(out).toContain(`${tls.authority} (${variable})`);
    },
    30_000,
  );

  test("every PEM file in SSL_CERT_DIR is trusted", async () => {
    expect(await usage({ SSL_CERT_DIR: join(folder, "authorities") })).toMatchObject({ code: 0 });
  }, 30_000);

  const store = "/etc/ssl/certs/ca-certificates.crt";
  const canMountStore =
    existsSync(store) &&
    Bun.which("unshare") !== null &&
    Bun.spawnSync(["unshare", "--mount", "mount", "--bind", store, store]).exitCode === 0;

  test.skipIf(!canMountStore)(
    "an authority of the system's store is trusted (needs root on Linux)",
    async () => {
      expect((await usage({})).err).toContain("could not be reached");
      const mounting = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"'];
      const env = { OPENAI_ACCESS_TOKEN: token };
      expect(await home.run(["usage"], env, [...mounting, tls.authority, store])).toMatchObject({ code: 0 });
    },
    30_000,
  );

  test.each([
    ["CODEX_CA_CERTIFICATE", () => join(folder, "gone.pem"), "is not there"],
    ["SSL_CERT_FILE", () => join(folder, "gone.pem"), "is not there"],
    ["CODEX_CA_CERTIFICATE", () => join(folder, "der.crt"), "is no PEM file"],
  ])(
    "%s that names nothing useful is told by the failing command and by doctor (openai/codex#40839)",
    async (variable, file, words) => {
      writeFileSync(join(folder, "der.crt"), Buffer.from([0x30, 0x82, 0x01]));
      const { code, err } = await usage({ [variable]: file() });
      expect([code, err]).toEqual([1, expect.stringContaining(`${variable}: ${file()} ${words}`)]);
      const { out } = await home.run(["doctor", "--json"], { [variable]: file(), OPENAI_ACCESS_TOKEN: token });
      const { checks } = JSON.parse(out) as { checks: { id: string; status: string; summary: string }[] };
      expect(checks.find(({ id }) => id === "tls")).toMatchObject({
        status: "warn",
        summary: expect.stringContaining(`${variable}: ${file()} ${words}`),
      });
    },
    30_000,
  );
});
