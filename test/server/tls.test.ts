import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { readCertificate } from "../../src/server/certificate.ts";
import type { RelayOptions } from "../../src/server/options.ts";
import { keepLines } from "../support/log-lines.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

const openssl = Bun.which("openssl");
const folder = mkdtempSync(join(tmpdir(), "plansocket-tls-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function selfSigned(name: string, days = 30): void {
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", String(days), "-subj", `/CN=${name}`];
  const files = ["-keyout", at(`${name}.key`), "-out", at(`${name}.crt`), "-addext", `subjectAltName=DNS:${name}`];
  Bun.spawnSync([openssl ?? "", ...request, ...files]);
  chmodSync(at(`${name}.key`), 0o600);
}

let demo: DemoRelay | undefined;
afterEach(async () => {
  await demo?.stop();
  demo = undefined;
});

const OPTIONS: Omit<RelayOptions, "tls"> = {
  host: "127.0.0.1",
  port: 0,
  apiKey: undefined,
  allowHosts: [],
  corsOrigins: [],
  strict: false,
  reasoning: "both",
  instructions: "",
  modelAliases: {},
  maxBodyBytes: 1024 * 1024,
  maxRequests: 100,
  keepAliveMs: 15_000,
};

describe.skipIf(openssl === null)("a relay that speaks TLS (needs openssl)", () => {
  beforeAll(() => {
    selfSigned("first");
    selfSigned("second");
    copyFileSync(at("first.crt"), at("tls.crt"));
    copyFileSync(at("first.key"), at("tls.key"));
    chmodSync(at("tls.key"), 0o600);
  });

  const files = { cert: at("tls.crt"), key: at("tls.key") };
  const use = (name: string) => {
    writeFileSync(files.cert, readFileSync(at(`${name}.crt`)));
    writeFileSync(files.key, readFileSync(at(`${name}.key`)));
  };
  const subject = (port: number) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on("error", reject);
    return promise;
  };
  const insecure = { tls: { rejectUnauthorized: false } };

  test("answers over it, streams and sockets included, and says https", async () => {
    use("first");
    demo = startDemoRelay({ relay: { tls: files } });
    expect(demo.relay.url).toStartWith("https://127.0.0.1:");
    expect(await subject(demo.relay.port)).toBe("first");
    const body = JSON.stringify({ model: "gpt-5.5", stream: true, messages: [{ role: "user", content: "hi" }] });
    const reply = await fetch(`${demo.v1}/chat/completions`, { method: "POST", body, ...insecure });
    expect(await reply.text()).toContain("[DONE]");
    const plain = await fetch(demo.relay.url.replace("https", "http")).catch(() => undefined);
    expect(plain?.ok ?? false).toBe(false);
  });

  test("gives new connections a certificate that was read again, and open streams go on to their end", async () => {
    use("first");
    const log = keepLines();
    demo = startDemoRelay({ log, relay: { tls: files } }, { paceMs: 30 });
    const body = JSON.stringify({ model: "gpt-5.5", stream: true, messages: [{ role: "user", content: "hi" }] });
    const stream = await fetch(`${demo.v1}/chat/completions`, { method: "POST", body, ...insecure });
    use("second");
    demo.relay.reconfigure({ ...OPTIONS, tls: files });
    expect(await subject(demo.relay.port)).toBe("second");
    const { relay } = demo;
    const drained = relay.drain(20_000).then((isDrained) => [isDrained, relay.activeRequests()]);
    expect(await stream.text()).toContain("[DONE]");
    expect(await drained).toEqual([true, 0]);
    expect(log.lines.map(({ message }) => message)).toContain(
      "New connections get the certificate that was read again.",
    );
  });

  test("says nothing of a certificate that is still the same, and a stop ends what older ones still answer", async () => {
    use("first");
    const log = keepLines();
    demo = startDemoRelay({ log, relay: { tls: files } }, { paceMs: 50 });
    const body = JSON.stringify({ model: "gpt-5.5", stream: true, messages: [{ role: "user", content: "hi" }] });
    const stream = await fetch(`${demo.v1}/chat/completions`, { method: "POST", body, ...insecure });
    demo.relay.reconfigure({ ...OPTIONS, tls: files });
    expect(log.lines).toEqual([]);
    use("second");
    demo.relay.reconfigure({ ...OPTIONS, tls: files });
    await demo.relay.stop();
    expect(await stream.text()).toContain("relay_stopping");
    expect(demo.relay.activeRequests()).toBe(0);
  });

  test("keeps its certificate when the new files are broken", async () => {
    use("first");
    demo = startDemoRelay({ relay: { tls: files } });
    const { relay } = demo;
    writeFileSync(files.cert, "junk");
    expect(() => relay.reconfigure({ ...OPTIONS, tls: files })).toThrow("holds no certificate in PEM form");
    expect(await subject(relay.port)).toBe("first");
  });

  test("does not share its port with another relay", () => {
    use("first");
    demo = startDemoRelay({ relay: { tls: files } });
    const { port } = demo.relay;
    expect(() => startDemoRelay({ relay: { tls: files, port } })).toThrow(`Port ${port} on 127.0.0.1 is in use.`);
  });

  test.each([
    ["is missing", () => ({ cert: at("none.crt"), key: files.key }), "none.crt could not be read (ENOENT)"],
    ["is the key", () => ({ cert: files.key, key: files.key }), "tls.key holds no certificate in PEM form"],
    ["is no key", () => ({ cert: files.cert, key: files.cert }), "tls.crt holds no private key in PEM form"],
    ["is of another key", () => ({ cert: at("first.crt"), key: at("second.key") }), "is not that of the certificate"],
  ])("a file that %s is told by name", (_, pair, message) => {
    use("first");
    expect(() => readCertificate(pair(), Date.now())).toThrow(message);
  });

  test("what its owner should know of a certificate is told", () => {
    use("first");
    const remark = (inDays: number) => readCertificate(files, Date.now() + inDays * 86_400_000).remark;
    expect(remark(0)).toBeUndefined();
    expect(remark(20)).toMatch(/expires in \d+ days\.$/);
    expect(remark(40)).toContain("has expired");
    chmodSync(files.key, 0o644);
    expect(remark(0)).toContain("chmod 600");
    chmodSync(files.key, 0o600);
  });
});
