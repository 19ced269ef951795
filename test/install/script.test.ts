import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { BUILD_MS, builtExecutable } from "../support/executable.ts";
import { startReleases, THIS_PLATFORM, type Releases } from "../support/releases.ts";

const root = join(import.meta.dir, "../..");
const script = readFileSync(join(root, "install.sh"), "utf8");

let home: string;
let releases: Releases;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "plansocket-install-"));
  mkdirSync(join(home, "tmp"));
  releases = await startReleases();
});
afterEach(async () => {
  await releases.stop();
  rmSync(home, { recursive: true, force: true });
});

const target = () => join(home, ".local/bin/plansocket");

/** Piped into sh, as from the network; in a process group of its own, like a command on a terminal. */
function start(args: string[] = [], more: Record<string, string> = {}, shell: string[] = ["sh"]) {
  return Bun.spawn([...shell, "-s", "--", ...args], {
    cwd: home,
    env: {
      HOME: home,
      TMPDIR: join(home, "tmp"),
      PATH: process.env["PATH"] ?? "",
      PLANSOCKET_RELEASES_URL: releases.url,
      ...more,
    },
    stdin: new Blob([script]),
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

async function finish(child: ReturnType<typeof start>) {
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

const install = (args: string[] = [], more: Record<string, string> = {}, shell?: string[]) =>
  finish(start(args, more, shell));

/** What the installed program says that it is. */
function installed(path = target()): string {
  return existsSync(path) ? Bun.spawnSync([path, "--version"]).stdout.toString().trim() : "nothing";
}

/** Nothing but the program lies where it was put, and nothing in the folder for temporary files. */
function expectNoLeftovers() {
  const bin = join(home, ".local/bin");
  expect(existsSync(bin) ? readdirSync(bin) : []).toEqual(existsSync(target()) ? ["plansocket"] : []);
  expect(readdirSync(join(home, "tmp"))).toEqual([]);
}

/** A PATH on which these programs come first. */
function pathWith(programs: Record<string, string>): string {
  const bin = join(home, "bin");
  mkdirSync(bin, { recursive: true });
  for (const [name, body] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  return `${bin}:${process.env["PATH"]}`;
}

/** A PATH with only these programs of the machine on it. */
function pathOf(names: readonly string[]): string {
  const bin = join(home, "only");
  mkdirSync(bin);
  for (const name of names) {
    const found = Bun.which(name);
    if (found !== null) symlinkSync(found, join(bin, name));
  }
  return bin;
}

/** A server with TLS that leads every request to the same path of `plain`; programs trust its certificate's file. */
function tlsRedirect(plain: string) {
  const key = join(home, "key.pem");
  const certificate = join(home, "certificate.pem");
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2"];
  Bun.spawnSync(["openssl", ...request, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
  writeFileSync(join(home, ".wgetrc"), `ca_certificate=${certificate}\n`);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { key: Bun.file(key), cert: Bun.file(certificate) },
    fetch: ({ url }) => Response.redirect(`${new URL(plain).origin}${new URL(url).pathname}`, 302),
  });
  return { url: `https://localhost:${server.port}`, certificate, stop: () => server.stop(true) };
}

const TOOLS = "awk cat chmod codesign cut dirname grep gzip ls mkdir mktemp mv rm sed sh sysctl tar uname".split(" ");

const SHELLS = [["dash"], ["bash"], ["busybox", "ash"], ["ksh"], ["zsh"], ["yash"], ["mksh"]].filter(
  ([name = ""]) => Bun.which(name) !== null,
);

/** A shell that sees this folder of the home on a file system that forbids running programs. */
const noexec = (folder: string) => [
  "unshare",
  "--mount",
  "sh",
  "-c",
  `mount -t tmpfs -o noexec none "$HOME/${folder}" && exec sh "$@"`,
  "sh",
];
const canMount = process.getuid?.() === 0 && Bun.spawnSync(["unshare", "--mount", "true"]).success;

describe("a release is installed", () => {
  test("the newest one, with a word about the PATH and the next step", async () => {
    releases.publish("1.2.3");
    const { code, err, out } = await install();
    expect([code, out]).toEqual([0, ""]);
    expect(err).toContain(`Installed plansocket 1.2.3 (abc1234) to ${target()}`);
    expect(err).toContain(`export PATH="${join(home, ".local/bin")}:$PATH"`);
    expect(err).toContain("Next: plansocket serve");
    expect(installed()).toBe("plansocket 1.2.3 (abc1234)");
    expect(releases.asked).toEqual([
      "/releases/latest/download/SHA256SUMS",
      `/releases/latest/download/plansocket-${THIS_PLATFORM}.tar.gz`,
    ]);
    expectNoLeftovers();
  });

  test("no word about the PATH when it is there already", async () => {
    releases.publish("1.2.3");
    const { err } = await install([], { PATH: `${process.env["PATH"]}:${join(home, ".local/bin")}` });
    expect(err).not.toContain("not on your PATH");
  });

  test.each([["1.0.0"], ["v1.0.0"]])("a named one (%s), to a named folder, and runs what follows", async (version) => {
    releases.publish("1.0.0");
    releases.publish("2.0.0");
    const prefix = join(home, "a folder");
    const { code, out } = await install(["--prefix", prefix, "--version", version, "demo", "--port", "0"]);
    expect([code, out]).toEqual([0, "ran demo --port 0\n"]);
    expect(installed(join(prefix, "bin/plansocket"))).toContain("1.0.0");
    expect(releases.asked.every((path) => path.startsWith("/releases/download/v1.0.0/"))).toBe(true);
    expectNoLeftovers();
  });

  test("with wget where there is no curl", async () => {
    if (Bun.which("wget") === null) return;
    releases.publish("1.2.3");
    const { code, err } = await install([], { PATH: pathOf([...TOOLS, "wget", "sha256sum", "shasum"]) });
    expect([code, err]).toEqual([0, expect.stringContaining("Installed")]);
  });

  test("by every POSIX shell that is here", async () => {
    releases.publish("1.2.3");
    expect(SHELLS.length).toBeGreaterThan(0);
    for (const shell of SHELLS) {
      rmSync(target(), { force: true });
      const { code, err } = await install([], {}, shell);
      expect([shell, code, err]).toEqual([shell, 0, expect.stringContaining("Installed")]);
    }
  });

  test("to a home with spaces in its name, and for ~/ in a flag or variable, which no shell has expanded", async () => {
    releases.publish("1.2.3");
    const HOME = join(home, "a home");
    mkdirSync(HOME);
    expect((await install([], { HOME })).code).toBe(0);
    expect(installed(join(HOME, ".local/bin/plansocket"))).toContain("1.2.3");
    expect((await install(["--prefix=~/tools"], { HOME })).code).toBe(0);
    expect((await install([], { HOME, PLANSOCKET_PREFIX: "~/more tools" })).code).toBe(0);
    expect(readdirSync(HOME).sort()).toEqual([".local", "more tools", "tools"]);
    const others = await install(["--prefix", "~somebody/tools"], { HOME });
    expect([others.code, others.err]).toEqual([1, expect.stringContaining("another user's home")]);
  });

  test("and what an installer that was killed left there goes", async () => {
    releases.publish("1.2.3");
    const bin = join(home, ".local/bin");
    // No system gives a process this number.
    mkdirSync(join(bin, ".plansocket-install.999999999"), { recursive: true });
    mkdirSync(join(bin, `.plansocket-install.${process.pid}`));
    expect((await install()).code).toBe(0);
    expect(readdirSync(bin).sort()).toEqual([`.plansocket-install.${process.pid}`, "plansocket"]);
  });

  test.skipIf(!canMount)(
    "where the folder for temporary files forbids running programs (netdata/netdata#9626)",
    async () => {
      releases.publish("1.2.3");
      const { code, err } = await install([], {}, noexec("tmp"));
      expect([code, err]).toEqual([0, expect.stringContaining("Installed plansocket 1.2.3")]);
    },
  );
});

describe("nothing is installed, and an older version stays", () => {
  beforeEach(async () => {
    releases.publish("1.0.0");
    await install();
  });
  const expectOldOne = () => {
    expect(installed()).toContain("1.0.0");
    expectNoLeftovers();
  };

  test.each([
    ["changed", "the checksum of"],
    ["cut", "broke off"],
    ["empty", "does not hold plansocket"],
  ] as const)("after an archive that was %s", async (fault, message) => {
    releases.publish("2.0.0", { fault });
    const { code, err } = await install();
    expect([code, err]).toEqual([1, expect.stringContaining(message)]);
    expect(err).toContain("Nothing was installed");
    expectOldOne();
  });

  test("after an interrupt in the middle of the download", async () => {
    releases.publish("2.0.0", { fault: "stall" });
    const child = start();
    await releases.stalled;
    process.kill(-child.pid, "SIGINT");
    expect(await child.exited).not.toBe(0);
    expectOldOne();
  });

  test("without a build for this platform", async () => {
    releases.publish("2.0.0", { targets: ["plan9-vax"] });
    const { code, err } = await install();
    expect([code, err]).toEqual([1, expect.stringContaining(`no build for ${THIS_PLATFORM}`)]);
    expectOldOne();
  });

  test("without a network, and for a version that does not exist", async () => {
    const offline = await install([], { PLANSOCKET_RELEASES_URL: "http://127.0.0.1:9" });
    expect([offline.code, offline.err]).toEqual([1, expect.stringContaining("could not be fetched")]);
    const unknown = await install(["--version", "9.9.9"]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("check the network and the version")]);
    expectOldOne();
  });

  test("when the script names no place for releases, and nobody is asked", async () => {
    const { code, err } = await install([], { PLANSOCKET_RELEASES_URL: "" });
    expect([code, err]).toEqual([1, expect.stringContaining("this copy of install.sh names no place for releases")]);
    expectOldOne();
  });

  test("when the new program does not run here", async () => {
    releases.publish("2.0.0", { program: "#!/bin/sh\nexit 127\n" });
    const { code, err } = await install();
    expect([code, err]).toEqual([1, expect.stringContaining("does not run on this machine")]);
    const alpine = await install([], { PATH: pathWith({ apk: "exit 0" }) });
    expect(alpine.err).toContain("apk add libstdc++ libgcc");
    expectOldOne();
  });

  test("when the script was cut off on its way, wherever that was", async () => {
    const cuts = Array.from({ length: 60 }, (_, index) => 11 + Math.floor((index / 60) * (script.length - 13)));
    for (const shell of SHELLS) {
      for (const cut of cuts) {
        const child = Bun.spawn([...shell, "-s"], {
          cwd: home,
          env: { HOME: home, PATH: process.env["PATH"] ?? "", PLANSOCKET_RELEASES_URL: releases.url },
          stdin: new Blob([script.slice(0, cut)]),
          stderr: "ignore",
        });
        expect([shell, cut, (await child.exited) === 0]).toEqual([shell, cut, false]);
      }
    }
    expect(releases.asked.length).toBe(2);
    expectOldOne();
  });

  test.each(["tar", "gzip", "awk"])("without %s, which is named", async (tool) => {
    releases.publish("2.0.0");
    const PATH = pathOf([...TOOLS, "curl", "sha256sum", "shasum"].filter((name) => name !== tool));
    const { code, err } = await install([], { PATH });
    expect([code, err]).toEqual([1, expect.stringContaining(`${tool} was not found`)]);
    expectOldOne();
  });

  test("when a page to sign in on answers in the place of the release", async () => {
    const portal = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<html>Sign in</html>") });
    const { code, err } = await install([], { PLANSOCKET_RELEASES_URL: `http://127.0.0.1:${portal.port}/releases` });
    await portal.stop(true);
    expect([code, err]).toEqual([1, expect.stringContaining("is no list of checksums")]);
    expect(err).toContain("a page to sign in on");
    expectOldOne();
  });

  test("from a place without TLS that is not this machine", async () => {
    const { code, err } = await install([], { PLANSOCKET_RELEASES_URL: "http://releases.example/releases" });
    expect([code, err]).toEqual([1, expect.stringContaining("is not an https address")]);
    expectOldOne();
  });

  test.skipIf(Bun.which("openssl") === null).each([["curl"], ["wget"], ["busybox wget"]])(
    "when %s is led from TLS to an address without it",
    async (tool) => {
      const [program = "", applet] = tool.split(" ");
      if (Bun.which(program) === null) return;
      releases.publish("2.0.0");
      const place = tlsRedirect(releases.url);
      const PATH = pathOf([...TOOLS, "sha256sum", "shasum", ...(applet ? [] : [program])]);
      if (applet) writeFileSync(join(PATH, applet), '#!/bin/sh\nexec busybox wget "$@"\n', { mode: 0o755 });
      if (applet) symlinkSync(Bun.which("busybox") ?? "", join(PATH, "busybox"));
      if (applet && Bun.which("openssl")) symlinkSync(Bun.which("openssl") ?? "", join(PATH, "openssl"));
      const { code, err } = await install([], {
        PATH,
        PLANSOCKET_RELEASES_URL: `${place.url}/releases`,
        CURL_CA_BUNDLE: place.certificate,
        SSL_CERT_FILE: place.certificate,
      });
      await place.stop();
      expect([code, err]).toEqual([1, expect.stringMatching(/without TLS|could not be fetched/)]);
      if (program === "wget") expect(err).toContain("leads to an address without TLS");
      expectOldOne();
    },
  );

  test.skipIf(!canMount)("where the file system forbids running programs (NixOS/nix#10756)", async () => {
    mkdirSync(join(home, "locked"));
    const { code, err } = await install(["--prefix", join(home, "locked/deep/er")], {}, noexec("locked"));
    expect([code, err]).toEqual([1, expect.stringContaining("forbids running programs")]);
    expect(err).toContain("--prefix");
    expect(readdirSync(join(home, "locked"))).toEqual([]);
    expectOldOne();
  });

  test("and folders that were made for it are gone again", async () => {
    releases.publish("2.0.0", { fault: "changed" });
    expect((await install(["--prefix", join(home, "new/place")])).code).toBe(1);
    expect(existsSync(join(home, "new"))).toBe(false);
    expectOldOne();
  });

  test("without a program that verifies checksums", async () => {
    releases.publish("2.0.0");
    const { code, err } = await install([], { PATH: pathOf([...TOOLS, "curl"]) });
    expect([code, err]).toEqual([1, expect.stringContaining("no program to verify checksums")]);
    expectOldOne();
  });

  test("and nobody is asked for more rights when the folder cannot be written to", async () => {
    writeFileSync(join(home, "file"), "");
    const PATH = pathWith({ sudo: 'echo "$@" >"$HOME/asked"', doas: 'echo "$@" >"$HOME/asked"' });
    const { code, err } = await install(["--prefix", join(home, "file")], { PATH });
    expect([code, err]).toEqual([1, expect.stringContaining("Choose another folder with --prefix")]);
    expect(existsSync(join(home, "asked"))).toBe(false);
    expect(script).not.toMatch(/\b(sudo|doas)\b/);
    expectOldOne();
  });

  test.skipIf(process.getuid?.() === 0 && Bun.which("setpriv") === null)("in a folder of somebody else's", async () => {
    releases.publish("2.0.0");
    for (const folder of [home, join(home, ".local"), join(home, ".local/bin")]) chmodSync(folder, 0o555);
    chmodSync(join(home, "tmp"), 0o777);
    const asNobody =
      process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh"] : ["sh"];
    const { code, err } = await install([], {}, asNobody);
    for (const folder of [home, join(home, ".local"), join(home, ".local/bin")]) chmodSync(folder, 0o755);
    expect([code, err]).toEqual([1, expect.stringContaining(`${target()} cannot be written`)]);
    expectOldOne();
  });
});

describe("the build for the machine", () => {
  /** What `ls` finds of the loaders of both C libraries. */
  const loaders = (found: readonly ("ld-musl" | "ld-linux")[]) =>
    `for word; do case $word in ${["none", ...found].map((name) => `*${name}*`).join(" | ")}) exit 0 ;; esac; done; exit 2`;

  test.each([
    ["Linux", "x86_64", ["ld-linux"], "linux-x64"],
    ["Linux", "aarch64", ["ld-linux"], "linux-arm64"],
    ["Linux", "x86_64", ["ld-musl"], "linux-x64-musl"],
    ["Linux", "arm64", ["ld-musl"], "linux-arm64-musl"],
    // glibc with musl's loader installed beside it
    ["Linux", "amd64", ["ld-musl", "ld-linux"], "linux-x64"],
    ["Darwin", "arm64", [], "darwin-arm64"],
  ] as const)("%s on %s with %j is %s", async (os, arch, found, platform) => {
    releases.publish("1.0.0", { targets: [platform] });
    const PATH = pathWith({
      uname: `[ "$1" = -m ] && echo ${arch} || echo ${os}`,
      ls: loaders(found),
      sysctl: "echo 0",
    });
    const { code, err } = await install([], { PATH });
    expect([code, err]).toEqual([0, expect.stringContaining(`plansocket-${platform}.tar.gz`)]);
  });

  test("is the one for Apple silicon also under Rosetta", async () => {
    releases.publish("1.0.0", { targets: ["darwin-arm64"] });
    const PATH = pathWith({ uname: '[ "$1" = -m ] && echo x86_64 || echo Darwin', sysctl: "echo 1" });
    expect((await install([], { PATH })).code).toBe(0);
  });

  test.each([
    ["Linux", "riscv64", "no release for riscv64"],
    ["MINGW64_NT-10.0", "x86_64", "On Windows use install.ps1"],
  ])("does not exist for %s on %s", async (os, arch, message) => {
    const PATH = pathWith({ uname: `[ "$1" = -m ] && echo ${arch} || echo ${os}` });
    const { code, err } = await install([], { PATH });
    expect([code, err]).toEqual([1, expect.stringContaining(message)]);
    expectNoLeftovers();
  });
});

describe("options", () => {
  test("a wrong one shows the usage", async () => {
    const wrong = await install(["--prefx"]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("unknown option '--prefx'")]);
    const help = await install(["--help"]);
    expect([help.code, help.out]).toEqual([0, expect.stringContaining("--uninstall")]);
    const bare = await install([], { HOME: "" });
    expect([bare.code, bare.err]).toEqual([1, expect.stringContaining("HOME is not set")]);
  });

  test("--uninstall removes the program and nothing else", async () => {
    releases.publish("1.2.3");
    await install();
    writeFileSync(join(home, ".local/bin/neighbour"), "");
    expect((await install(["--uninstall"])).code).toBe(0);
    expect(readdirSync(join(home, ".local/bin"))).toEqual(["neighbour"]);
    const again = await install(["--uninstall"]);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining("is not there")]);
  });
});

describe("--uninstall names what remains", () => {
  /** A program with a relay, a service and a client set up, that notes what it is asked. */
  const BUSY = `#!/bin/sh
[ "$1" = --version ] && echo "plansocket 1.0.0" && exit
echo "$*" >>"$HOME/asked"
case "$*" in "service status --json") [ ! -e "$HOME/has-service" ] || echo '  "installed": true,' ;; esac
[ ! -e "$HOME/refuses" ] || exit 1
`;
  beforeEach(async () => {
    releases.publish("1.0.0", { program: BUSY });
    await install();
    mkdirSync(join(home, ".local/state/plansocket/setup/codex"), { recursive: true });
    writeFileSync(join(home, ".local/state/plansocket/setup/codex/journal.json"), "{}");
  });
  const asked = () => readFileSync(join(home, "asked"), "utf8");

  test("and undoes nothing where nobody can be asked", async () => {
    const { code, err } = await install(["--uninstall"]);
    expect([code, installed()]).toEqual([0, "nothing"]);
    expect(err).toContain("a relay that runs in the background: plansocket stop");
    expect(err).toContain("settings of codex: plansocket setup codex --undo");
    expect(err).toContain(`Kept: ${join(home, ".local/state/plansocket")}`);
    expect(asked()).toBe("service status --json\nstatus\n");
  });

  test("and with --undo stops, removes and takes it back first", async () => {
    writeFileSync(join(home, "has-service"), "");
    const { code, err } = await install(["--uninstall", "--undo"]);
    expect([code, err, installed()]).toEqual([0, expect.stringContaining("the service"), "nothing"]);
    expect(asked()).toEndWith("service uninstall\nsetup codex --undo --yes\n");
  });

  test("and removes nothing when that fails", async () => {
    writeFileSync(join(home, "has-service"), "");
    writeFileSync(join(home, "refuses"), "");
    const { code, err } = await install(["--uninstall", "--undo"]);
    expect([code, err]).toEqual([1, expect.stringContaining("the service could not be undone; nothing was removed")]);
    expect(existsSync(target())).toBe(true);
  });
});

describe("with the real executable", () => {
  let binary: ReturnType<typeof builtExecutable>;
  beforeAll(() => {
    binary = builtExecutable();
  }, BUILD_MS);
  afterAll(() => binary.remove());

  test(
    "an upgrade does not disturb a relay that runs",
    async () => {
      const bin = join(home, ".local/bin");
      mkdirSync(bin, { recursive: true });
      Bun.spawnSync(["cp", binary.path, target()]);
      const relay = Bun.spawn([target(), "demo", "--port", "0"], { env: { HOME: home }, stderr: "pipe" });
      const reader = relay.stderr.getReader();
      const said = new TextDecoder().decode((await reader.read()).value);
      const url = /listens on (http:\/\/[^\s:]+:\d+)/.exec(said)?.[1];
      releases.publish("99.0.0");
      const { code, err } = await install();
      expect([code, err]).toEqual([0, expect.stringContaining(`It replaces plansocket ${manifest.version}`)]);
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ version: manifest.version });
      expect(installed()).toBe("plansocket 99.0.0 (abc1234)");
      relay.kill("SIGTERM");
      expect(await relay.exited).toBe(0);
      expectNoLeftovers();
    },
    BUILD_MS,
  );

  test(
    "inside a checkout it is built from source",
    async () => {
      const child = Bun.spawn(["sh", join(root, "install.sh"), "--prefix", join(home, "built"), "--", "--version"], {
        cwd: home,
        env: {
          ...process.env,
          PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}`,
          TMPDIR: join(home, "tmp"),
        },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [code, out] = await Promise.all([child.exited, new Response(child.stdout).text()]);
      expect([code, out]).toEqual([0, expect.stringContaining(manifest.version)]);
      expect(existsSync(join(home, "built/bin/plansocket"))).toBe(true);
    },
    BUILD_MS,
  );
});

test.skipIf(Bun.which("shellcheck") === null)("every shell script passes shellcheck", () => {
  const { stdout } = Bun.spawnSync(["git", "ls-files", "*.sh", ".ci/run"], { cwd: root });
  const files = stdout
    .toString()
    .trim()
    .split("\n")
    .filter((file) => file !== "");
  const { exitCode, stdout: remarks } = Bun.spawnSync(["shellcheck", ...files], { cwd: root });
  expect([exitCode, remarks.toString()]).toEqual([0, ""]);
});
