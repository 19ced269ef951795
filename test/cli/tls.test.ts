import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certificate } from "../support/certificate.ts";
import { CommandHome, type RunningCommand } from "../support/cli.ts";

const openssl = Bun.which("openssl");

describe.skipIf(openssl === null)("commands with a relay that speaks TLS below a path (needs openssl)", () => {
  const home = new CommandHome();
  const cert = join(home.path, "tls.crt");
  const key = join(home.path, "tls.key");
  let relay: RunningCommand;
  let flags: string[];

  beforeAll(async () => {
    const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=relay.example"];
    Bun.spawnSync([
      openssl ?? "",
      ...request,
      "-keyout",
      key,
      "-out",
      cert,
      "-addext",
      "subjectAltName=DNS:relay.example",
    ]);
    chmodSync(key, 0o600);
    const tls = ["--tls-cert", cert, "--tls-key", key, "--base-path", "/relay"];
    relay = home.start(["demo", "--port", "0", ...tls]);
    const [, port = ""] = await relay.says(/base URL +https:\/\/127\.0\.0\.1:(\d+)\/relay\/v1/);
    flags = ["--port", port, "--tls-cert", cert, "--base-path", "/relay"];
  });
  afterAll(async () => {
    relay.kill();
    await relay.ended;
    home.remove();
  });

  test.each([
    ["health", [], /answers on https:\/\/127\.0\.0\.1:\d+\/relay\n/],
    ["ask", ["hello"], /You said: “hello”/],
    ["open", ["--print"], /^https:\/\/127\.0\.0\.1:\d+\/relay\/\n$/],
  ])("%s finds it", async (command, more, pattern) => {
    const { code, out, err } = await home.run([command, ...flags, ...more]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(pattern);
  });

  test("another certificate at its place is not believed, and gets no key", async () => {
    const other = join(home.path, "other.crt");
    const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other"];
    Bun.spawnSync([openssl ?? "", ...request, "-keyout", join(home.path, "other.key"), "-out", other]);
    const [, port = ""] = flags;
    const { code } = await home.run(["ask", "--port", port, "--tls-cert", other, "--base-path", "/relay", "hello"]);
    expect(code).toBe(1);
  });

  test("a certificate without its key is refused", async () => {
    const { code, err } = await home.run(["demo", "--port", "0", "--tls-cert", cert]);
    expect([code, err]).toEqual([2, expect.stringContaining("--tls-cert needs --tls-key beside it.")]);
  });
});

describe.skipIf(openssl === null)("commands with a relay whose certificate a company's own authority signed", () => {
  const home = new CommandHome();
  afterAll(() => home.remove());

  test("believe it without being told of the authority, and no other certificate of it", async () => {
    const made = certificate(home.path, ["relay.internal"]);
    const [cert, key] = [join(home.path, "tls.crt"), join(home.path, "tls.key")];
    writeFileSync(cert, made.cert);
    writeFileSync(key, made.key, { mode: 0o600 });
    const relay = home.start(["demo", "--port", "0", "--tls-cert", cert, "--tls-key", key]);
    try {
      const [, port = ""] = await relay.says(/base URL +https:\/\/127\.0\.0\.1:(\d+)\/v1/);
      const flags = ["--port", port, "--tls-cert"];
      expect((await home.run(["health", ...flags, cert])).code).toBe(0);
      expect((await home.run(["ask", ...flags, cert, "hello"])).out).toContain("You said");
      const other = join(home.path, "other");
      mkdirSync(other);
      certificate(other, ["relay.internal"]);
      const { code, out } = await home.run(["ask", ...flags, join(other, "server.pem"), "hello"]);
      expect([code, out]).toEqual([1, ""]);
      // The authority itself is not the relay's certificate.
      expect((await home.run(["ask", ...flags, made.authority, "hello"])).code).toBe(1);
    } finally {
      relay.kill();
      await relay.ended;
    }
  }, 30_000);
});
