import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { refuseManaged } from "../../src/cli/update/place.ts";
import { checksumOf } from "../../src/cli/update/release.ts";
import { CommandHome } from "../support/cli.ts";
import { BUILD_MS, builtExecutable } from "../support/executable.ts";
import { startReleases, THIS_PLATFORM, type Releases } from "../support/releases.ts";
import { canRunSocks, startSocks } from "../support/microsocks.ts";
import { canRunProxy, startProxy } from "../support/tinyproxy.ts";

let built: ReturnType<typeof builtExecutable>;
beforeAll(() => {
  built = builtExecutable();
}, BUILD_MS);
afterAll(() => built.remove());

let home: string;
let bin: string;
let releases: Releases;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "plansocket-update-"));
  bin = join(home, "bin");
  mkdirSync(bin);
  copyFileSync(built.path, program());
  chmodSync(program(), 0o751);
  releases = await startReleases();
});
afterEach(async () => {
  await releases.stop();
  rmSync(home, { recursive: true, force: true });
});

const program = () => join(bin, "plansocket");

async function run(args: string[], more: Record<string, string> = {}, wrapper: string[] = [], path = program()) {
  const child = Bun.spawn([...wrapper, path, ...args], {
    cwd: home,
    env: { HOME: home, PATH: process.env["PATH"] ?? "", PLANSOCKET_RELEASES_URL: releases.url, ...more },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

const versionThere = () => Bun.spawnSync([program(), "--version"]).stdout.toString();

/** The old program is in place, works, and nothing lies beside it. */
function expectOldOne() {
  expect(versionThere()).toContain(manifest.version);
  expect(readdirSync(bin)).toEqual(["plansocket"]);
}

describe("--check", () => {
  test.each([
    ["99.0.0", 10, "plansocket 99.0.0 is out"],
    ["v99.0.0", 10, "plansocket 99.0.0 is out"],
    [manifest.version, 0, "is up to date"],
    ["0.0.1", 0, "is up to date"],
    // Comes before the release of the same number.
    [`${manifest.version}-rc.1`, 0, "is up to date"],
  ])("%s is exit code %i and changes nothing", async (version, code, word) => {
    releases.publish(version);
    const result = await run(["update", "--check"]);
    expect([result.code, result.out, result.err]).toEqual([code, expect.stringContaining(word), ""]);
    expect(releases.asked).toEqual(["/releases/latest/download/VERSION"]);
    expectOldOne();
  });

  test("--json tells a script the same", async () => {
    releases.publish("99.0.0");
    const { code, out } = await run(["update", "--check", "--json"]);
    expect(code).toBe(10);
    expect(JSON.parse(out)).toEqual({
      current: manifest.version,
      latest: "99.0.0",
      update_available: true,
      updated: false,
    });
  });

  test("also works where the program cannot be replaced", async () => {
    releases.publish("99.0.0");
    const source = new CommandHome({ PLANSOCKET_RELEASES_URL: releases.url });
    expect((await source.run(["update", "--check"])).code).toBe(10);
    source.remove();
    expect((await run(["update", "--check"], { PLANSOCKET_CONTAINER: "1" })).code).toBe(10);
  });

  test("what is no version is not taken for one", async () => {
    releases.publish("<html>Sign in to the network</html>");
    const { code, err } = await run(["update", "--check"]);
    expect([code, err]).toEqual([1, expect.stringContaining("does not hold a version")]);
    const none = await run(["update", "--check"], { PLANSOCKET_RELEASES_URL: `${releases.url}/other` });
    expect([none.code, none.err]).toEqual([1, expect.stringContaining("There is no such release")]);
    const offline = await run(["update", "--check"], { PLANSOCKET_RELEASES_URL: "http://127.0.0.1:9" });
    expect([offline.code, offline.err]).toEqual([1, expect.stringContaining("could not be reached")]);
  });
});

test("without a repository that it was built from, it asks nobody and says how to update", async () => {
  for (const args of [["update", "--check"], ["update"]]) {
    const { code, err } = await run(args, { PLANSOCKET_RELEASES_URL: "" });
    expect([code, err]).toEqual([1, expect.stringContaining("names no place for releases")]);
    expect(err).toContain("`git pull` and `sh install.sh`");
  }
  expectOldOne();
});

describe("an update", () => {
  test("replaces the executable in one step, keeps its mode, and leaves nothing behind", async () => {
    releases.publish("99.0.0", { targets: [THIS_PLATFORM, "plan9-vax"] });
    const before = statSync(program()).ino;
    const { code, out, err } = await run(["update"]);
    expect([code, out]).toEqual([0, `Updated ${program()} from ${manifest.version} to 99.0.0.\n`]);
    expect(err).toContain(`Fetching plansocket 99.0.0 for ${THIS_PLATFORM}`);
    expect(versionThere()).toBe("plansocket 99.0.0 (abc1234)\n");
    expect(statSync(program()).mode & 0o777).toBe(0o751);
    expect(statSync(program()).ino).not.toBe(before);
    expect(readdirSync(bin)).toEqual(["plansocket"]);
    expect(releases.asked.slice(1)).toEqual([
      "/releases/download/v99.0.0/SHA256SUMS",
      `/releases/download/v99.0.0/plansocket-${THIS_PLATFORM}.tar.gz`,
    ]);
  });

  test("does not disturb a relay that runs", async () => {
    releases.publish("99.0.0");
    const relay = Bun.spawn([program(), "demo", "--port", "0"], { env: { HOME: home }, stderr: "pipe" });
    const said = new TextDecoder().decode((await relay.stderr.getReader().read()).value);
    const url = /listens on (http:\/\/[^\s:]+:\d+)/.exec(said)?.[1];
    expect((await run(["update", "--json"])).code).toBe(0);
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ version: manifest.version });
    expect(versionThere()).toContain("99.0.0");
    relay.kill("SIGTERM");
    expect(await relay.exited).toBe(0);
  });

  test("goes to where a link points, and the link stays", async () => {
    releases.publish("99.0.0");
    const link = join(home, "link");
    symlinkSync(program(), link);
    const { code, out } = await run(["update", "--json"], {}, [], link);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ updated: true, latest: "99.0.0", path: program() });
    expect(versionThere()).toContain("99.0.0");
  });

  test("is none when this is the newest", async () => {
    releases.publish(manifest.version);
    const { code, out } = await run(["update"]);
    expect([code, out]).toEqual([0, `plansocket ${manifest.version} is up to date.\n`]);
    expectOldOne();
  });

  test("follows the redirects of a release host to the end (GitHub answers 302 twice)", async () => {
    releases.publish("99.0.0");
    const storage = redirecting((path) => `${new URL(releases.url).origin}${path}`);
    const host = redirecting((path) => `${storage.url}${path}`);
    const env = { PLANSOCKET_RELEASES_URL: `${host.url}/releases` };
    expect((await run(["update", "--check"], env)).code).toBe(10);
    const { code, out } = await run(["update"], env);
    expect([code, out]).toEqual([0, expect.stringContaining("to 99.0.0")]);
    expect(versionThere()).toContain("99.0.0");
    await Promise.all([storage.stop(), host.stop()]);
  });

  test.skipIf(!canRunProxy())("takes the outbound proxy, with TLS", async () => {
    releases.publish("99.0.0");
    const { origin } = new URL(releases.url);
    const certificate = selfSigned("releases.example");
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { key: Bun.file(certificate.key), cert: Bun.file(certificate.path) },
      fetch: ({ url }) => fetch(`${origin}${new URL(url).pathname}`),
    });
    const proxy = await startProxy(["releases.example"]);
    const result = await run(["update"], {
      PLANSOCKET_RELEASES_URL: `https://releases.example:${server.port}/releases`,
      PLANSOCKET_PROXY: proxy.url,
      NODE_EXTRA_CA_CERTS: certificate.path,
    });
    await proxy.stop();
    await server.stop(true);
    // The name exists for the proxy alone.
    expect([result.code, result.out]).toEqual([0, expect.stringContaining("to 99.0.0")]);
  });
  test.skipIf(!canRunSocks()).each(["ALL_PROXY", "PLANSOCKET_PROXY"])(
    "a SOCKS proxy in %s is used",
    async (variable) => {
      releases.publish("99.0.0");
      const certificate = selfSigned("releases.example");
      const { origin } = new URL(releases.url);
      const server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        tls: { key: Bun.file(certificate.key), cert: Bun.file(certificate.path) },
        fetch: ({ url }) => fetch(`${origin}${new URL(url).pathname}`),
      });
      const socks = await startSocks(home, ["releases.example"]);
      const authority = `releases.example:${server.port}`;
      const result = await run(["update"], {
        PLANSOCKET_RELEASES_URL: `https://${authority}/releases`,
        [variable]: `socks5h://${socks.authority}`,
        NODE_EXTRA_CA_CERTS: certificate.path,
      });
      const asked = new Set(socks.connections());
      await socks.stop();
      await server.stop(true);
      // The name exists for the SOCKS server alone.
      expect([result.code, result.out]).toEqual([0, expect.stringContaining("to 99.0.0")]);
      expect(asked).toEqual(new Set([authority]));
    },
  );
});

/** Answers every request with 302 to what `target` makes of its path. */
function redirecting(target: (path: string) => string, tls?: { key: string; path: string }) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(tls ? { tls: { key: Bun.file(tls.key), cert: Bun.file(tls.path) } } : {}),
    fetch: ({ url }) => new Response(null, { status: 302, headers: { location: target(new URL(url).pathname) } }),
  });
  return { url: `${tls ? "https" : "http"}://localhost:${server.port}`, stop: () => server.stop(true) };
}

/** A certificate for one name that vouches for itself. */
function selfSigned(name: string): { key: string; path: string } {
  const [key, path] = [join(home, "key.pem"), join(home, "certificate.pem")];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", path, "-days", "2"];
  Bun.spawnSync(["openssl", ...request, "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`]);
  return { key, path };
}

describe("the old executable stays", () => {
  test.each([
    ["changed", "checksum"],
    ["cut", "broke off"],
    ["empty", "does not hold plansocket"],
  ] as const)("after an archive that was %s", async (fault, message) => {
    releases.publish("99.0.0", { fault });
    const { code, out, err } = await run(["update"]);
    expect([code, out, err]).toEqual([1, "", expect.stringContaining(message)]);
    expectOldOne();
  });

  test("when the update is ended in the middle of the download", async () => {
    releases.publish("99.0.0", { fault: "stall" });
    const child = Bun.spawn([program(), "update"], {
      env: { HOME: home, PLANSOCKET_RELEASES_URL: releases.url },
      stderr: "ignore",
    });
    await releases.stalled;
    child.kill("SIGINT");
    expect(await child.exited).not.toBe(0);
    expectOldOne();
  });

  test.each([
    ["a loop", (url: string) => (path: string) => `${url}${path}`, "without an end"],
    ["an address without TLS", () => () => "http://storage.example/file", "which is no https address"],
    ["another scheme", () => () => "file:///etc/passwd", "which is no https address"],
    ["nowhere", () => () => "", "no address to go on to"],
  ] as const)("when a release leads to %s", async (_where, targetOf, message) => {
    const target = { of: (path: string): string => path };
    const host = redirecting((path) => target.of(path));
    target.of = targetOf(host.url);
    for (const args of [["update", "--check"], ["update"]]) {
      const { code, err } = await run(args, { PLANSOCKET_RELEASES_URL: `${host.url}/releases` });
      expect([code, err]).toEqual([1, expect.stringContaining(message)]);
      expect(err).toContain("Nothing was changed");
    }
    await host.stop();
    expectOldOne();
  });

  test.skipIf(Bun.which("openssl") === null)("when a release leads from TLS to this machine without it", async () => {
    releases.publish("99.0.0");
    const certificate = selfSigned("localhost");
    const host = redirecting((path) => `${new URL(releases.url).origin}${path}`, certificate);
    const { code, err } = await run(["update"], {
      PLANSOCKET_RELEASES_URL: `${host.url}/releases`,
      NODE_EXTRA_CA_CERTS: certificate.path,
    });
    await host.stop();
    expect([code, err]).toEqual([1, expect.stringContaining("which is no https address")]);
    expect(releases.asked).toEqual([]);
    expectOldOne();
  });

  test("when releases are at a place without TLS that is not this machine", async () => {
    const { code, err } = await run(["update"], { PLANSOCKET_RELEASES_URL: "http://releases.example/releases" });
    expect([code, err]).toEqual([1, expect.stringContaining("is not an https address")]);
    expectOldOne();
  });

  test.each([
    ["does not start", "#!/bin/sh\nexit 127\n"],
    ["is another version than it was said to be", "#!/bin/sh\necho plansocket 98.0.0\n"],
  ])("when the new one %s", async (_how, text) => {
    releases.publish("99.0.0", { program: text });
    const { code, err } = await run(["update"]);
    expect([code, err]).toEqual([1, expect.stringContaining("does not run on this machine")]);
    expectOldOne();
  });

  test("when the release has nothing for this platform", async () => {
    releases.publish("99.0.0", { targets: ["plan9-vax"] });
    const { code, err } = await run(["update"]);
    expect([code, err]).toEqual([1, expect.stringContaining(`nothing for ${THIS_PLATFORM}`)]);
    expectOldOne();
  });

  test.skipIf(process.getuid?.() === 0 && Bun.which("setpriv") === null)(
    "where its user may not write, and no release is asked for",
    async () => {
      releases.publish("99.0.0");
      chmodSync(program(), 0o755);
      chmodSync(home, 0o755);
      chmodSync(bin, 0o555);
      const isRoot = process.getuid?.() === 0;
      const wrapper = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
      const { code, err } = await run(["update"], {}, wrapper);
      chmodSync(bin, 0o755);
      expect([code, err]).toEqual([1, expect.stringContaining(`Run this as the owner of ${bin}`)]);
      expect(releases.asked).toEqual([]);
      expectOldOne();
    },
  );

  test("in a container, and in Homebrew's folder", async () => {
    releases.publish("99.0.0");
    const image = await run(["update"], { PLANSOCKET_CONTAINER: "1" });
    expect([image.code, image.err]).toEqual([1, expect.stringContaining("Pull the newer image.")]);
    const cellar = join(home, "Cellar/plansocket/1/bin");
    mkdirSync(cellar, { recursive: true });
    copyFileSync(program(), join(cellar, "plansocket"));
    symlinkSync(join(cellar, "plansocket"), join(home, "linked"));
    const brewed = await run(["update"], {}, [], join(home, "linked"));
    expect([brewed.code, brewed.err]).toEqual([1, expect.stringContaining("Run `brew upgrade plansocket`.")]);
    expect(releases.asked).toEqual([]);
    expect(existsSync(join(cellar, "plansocket"))).toBe(true);
    expectOldOne();
  });

  test("from source", async () => {
    const source = new CommandHome({ PLANSOCKET_RELEASES_URL: releases.url });
    const { code, err } = await source.run(["update"]);
    source.remove();
    expect([code, err]).toEqual([1, expect.stringContaining("git pull")]);
  });
});

test.each([
  ["/opt/homebrew/Cellar/plansocket/1.0.0/bin/plansocket", "Homebrew"],
  ["/home/linuxbrew/.linuxbrew/Cellar/plansocket/1.0.0/bin/plansocket", "Homebrew"],
  ["/nix/store/abc-plansocket/bin/plansocket", "Nix"],
  ["/usr/bin/plansocket", "system's package manager"],
  ["/usr/lib/plansocket/plansocket", "system's package manager"],
])("%s belongs to %s", (path, owner) => {
  expect(() => refuseManaged(path)).toThrow(owner);
});

test.each([["/home/dev/.local/bin/plansocket"], ["/usr/local/bin/plansocket"], ["/opt/plansocket"]])(
  "%s belongs to its user",
  (path) => {
    expect(() => refuseManaged(path)).not.toThrow();
  },
);

test("checksums are read in both modes of sha256sum, and only for the very file", () => {
  const digest = "ab".repeat(32);
  const sums = `${"0".repeat(64)}  other-a.tar.gz\n${digest.toUpperCase()} *a.tar.gz\r\n`;
  expect(checksumOf(sums, "a.tar.gz")).toBe(digest);
  expect(checksumOf(`${digest}  a.tar.gz.asc\n`, "a.tar.gz")).toBeUndefined();
  expect(checksumOf("not found", "a.tar.gz")).toBeUndefined();
});
