import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { report } from "./report.ts";

const root = join(import.meta.dir, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Every file that git knows; everything but what was installed where there is no git. */
function files(): string[] {
  const listed = Bun.spawnSync(["git", "ls-files", "-z"], { cwd: root, stderr: "ignore" });
  if (listed.exitCode === 0)
    return listed.stdout
      .toString()
      .split("\0")
      .filter((path) => existsSync(join(root, path)) && path !== "");
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => !/^(node_modules|dist)\//.test(path));
}

describe("the repository", () => {
  /** What real secrets look like. */
  const SECRETS: readonly RegExp[] = [
    /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}(\.[\w-]+)?/g,
    /\bsk-[\w-]{20,}/g,
    /\brt[._][\w.-]{20,}/g,
    /\bgh[pousr]_\w{30,}|\bgithub_pat_\w{30,}/g,
    /\bnpm_\w{30,}/g,
    /\bAKIA[0-9A-Z]{16}\b/g,
    /\bxox[abprs]-[\w-]{20,}/g,
    /-----BEGIN [A-Z ]*PRIVATE KEY-----/g,
  ];
  /** What they never look like: unsigned, or counted up. */
  const MADE_UP = /^eyJhbGciOiJub25lIn0\.|0123456789abcdef/;

  test("holds no secret", () => {
    const all = files();
    const found = all.flatMap((path) => {
      const text = read(path);
      const secrets = SECRETS.flatMap((shape) => text.match(shape) ?? []).filter((secret) => !MADE_UP.test(secret));
      return secrets.map((secret) => `${path}: ${secret.slice(0, 12)}…`);
    });
    expect(all.length).toBeGreaterThan(300);
    expect(found).toEqual([]);
    report("supply", "files looked through for secrets", all.length);
  });

  test.each([
    [`eyJhbGciOiJSUzI1NiJ9.${Buffer.from('{"sub":"1","exp":1}').toString("base64url")}.c2lnbmF0dXJl`],
    [`sk-${"proj-Ab3".repeat(4)}`],
    [`rt_${"Zz9".repeat(10)}`],
    [["-----BEGIN", "RSA PRIVATE KEY-----"].join(" ")],
  ])("would not hold %s unnoticed", (secret) => {
    expect(SECRETS.some((shape) => (secret.match(shape) ?? []).length > 0)).toBe(true);
    expect(secret).not.toMatch(MADE_UP);
  });
});

describe("dependencies", () => {
  test("are named by their exact version, and few are shipped", () => {
    for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    }
    const telemetry = ["api", "core", "otlp-transformer", "resources", "sdk-metrics", "sdk-trace"];
    const others = ["citty", "consola", "diff", "eventsource-parser", "gpt-tokenizer", "socks", "ws", "zod"];
    const shipped = [...telemetry.map((name) => `@opentelemetry/${name}`), ...others];
    expect(Object.keys(manifest.dependencies).filter((name) => !shipped.includes(name))).toEqual([]);
  });

  test("are locked by content, wherever they are fetched from", () => {
    const packages = [...read("bun.lock").matchAll(/^ {4}"[^"]+": \["([^"]+)", "([^"]*)".*\]/gm)];
    expect(packages.length).toBeGreaterThan(50);
    for (const [line, name, address] of packages) {
      expect([name, /"sha512-[\w+/]{86}=="\],?$/.test(line)]).toEqual([name, true]);
      expect([name, address]).toEqual([name, ""]);
    }
  });

  test("are installed as they are locked, also in images and builds", () => {
    const installs = files()
      .filter((path) => /^(Dockerfile|test\/run\.sh|install\.sh|build\.ts|\.ci\/|\.github\/)/.test(path))
      .flatMap((path) => read(path).match(/.*\b(bun|\$bun|get-bun\.sh\)")"? install\b.*/g) ?? []);
    expect(installs.length).toBeGreaterThan(1);
    for (const line of installs) expect(line).toContain("--frozen-lockfile");
  });
});

describe("workflows", () => {
  const workflows = readdirSync(join(root, ".github/workflows")).map(
    (name) => [name, read(`.github/workflows/${name}`)] as const,
  );

  test.each(workflows)(
    "%s uses what others wrote at one commit only, and says which version that is",
    (_name, text) => {
      const used = text.match(/uses:.*/g) ?? [];
      for (const line of used) expect(line).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    },
  );

  test.each(workflows)("%s may only read unless a job says otherwise, and runs no stranger's words", (_name, text) => {
    expect(text).toMatch(/^permissions:\n {2}contents: read\n(?! )/m);
    expect(text).not.toContain("pull_request_target");
    // What whoever opens a pull request chooses must not become part of a script.
    expect(text).not.toMatch(/\$\{\{\s*github\.(event\.|head_ref)(?!_name)/);
  });

  test("releases and images carry a signed statement of where they were built", () => {
    for (const name of ["release.yml", "container.yml"]) {
      const text = read(`.github/workflows/${name}`);
      expect(text).toContain("actions/attest-build-provenance@");
      expect(text).toMatch(/^ {6}id-token: write$/m);
    }
  });
});

describe("the audit in CI", () => {
  /** A registry that knows of one hole in one package, and tells those who ask for that one. */
  const knows =
    (name: string, severity: string) =>
    async (request: Request): Promise<Response> => {
      const asked = new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(await request.arrayBuffer())));
      const hole = { id: 1, url: "https://holes.example/1", title: "A hole", severity, vulnerable_versions: "<999" };
      return Response.json(asked.includes(`"${name}"`) ? { [name]: [hole] } : {});
    };

  async function audit(
    answer: (request: Request) => Response | Promise<Response>,
  ): Promise<{ code: number; said: string }> {
    const registry = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
    const child = Bun.spawn(["bash", join(root, ".ci/audit")], {
      env: { ...process.env, BUN_CONFIG_REGISTRY: registry.url.href, npm_config_registry: registry.url.href },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    await registry.stop(true);
    return { code, said: out + err };
  }

  test.each<[string, (request: Request) => Response | Promise<Response>, number, RegExp]>([
    ["nothing known", () => Response.json({}), 0, /No known holes/],
    ["a small hole in what is shipped", knows("zod", "low"), 1, /zod[^]*A hole/],
    ["a small hole in a tool", knows("typescript", "moderate"), 0, /No known holes/],
    ["a severe hole in a tool", knows("typescript", "high"), 1, /typescript[^]*A hole/],
    ["a registry that does not know", () => new Response("", { status: 405 }), 0, /did not say/],
    ["a registry that talks of something else", () => new Response("<html>"), 0, /did not say/],
  ])("%s", async (_case, answer, code, words) => {
    const result = await audit(answer);
    expect(result.said).toMatch(words);
    expect(result.code).toBe(code);
  });
});
