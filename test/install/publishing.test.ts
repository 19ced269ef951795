import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { SETTINGS, type Setting } from "../../src/config/settings.ts";

const root = join(import.meta.dir, "../..");
const REPOSITORY = "https://git.example/someone/fork";
const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** A digest for each platform that tells them apart. */
const digestOf = (target: string) => new Bun.CryptoHasher("sha256").update(target).digest("hex");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-publishing-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(command: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: folder });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

function render(targets: readonly string[]) {
  const sums = join(folder, "SHA256SUMS");
  const lines = ["linux-x64-musl", ...targets].map((target) => `${digestOf(target)}  plansocket-${target}.tar.gz\n`);
  writeFileSync(sums, lines.join(""));
  return run(["sh", join(root, ".github/homebrew/render.sh"), REPOSITORY, "v1.2.3", sums]);
}

/** As much of Homebrew as the formula asks for, on the system that the environment names. */
const HOMEBREW = `
class Formula
  class << self
    def test = nil
    def method_missing(name, *values, &block)
      case name
      when :on_macos then block.call if ENV["SYSTEM"] == "darwin"
      when :on_linux then block.call if ENV["SYSTEM"] == "linux"
      when :on_arm then block.call if ENV["CPU"] == "arm64"
      when :on_intel then block.call if ENV["CPU"] == "x64"
      when :service then nil
      else puts "#{name} #{values.first}"
      end
    end
  end
end
load ARGV[0]
abort "no install" unless Plansocket.method_defined?(:install)
`;

describe("the Homebrew formula", () => {
  test("holds the release's address and checksums, and no place is left open", () => {
    const { code, out } = render(PLATFORMS);
    expect(code).toBe(0);
    expect(out).not.toContain("@");
    for (const target of PLATFORMS) {
      expect(out).toContain(
        `url "${REPOSITORY}/releases/download/v1.2.3/plansocket-${target}.tar.gz"\n      sha256 "${digestOf(target)}"`,
      );
    }
  });

  test.skipIf(Bun.which("ruby") === null)("is Ruby, and gives each system its own archive", () => {
    const formula = join(folder, "plansocket.rb");
    writeFileSync(formula, render(PLATFORMS).out);
    writeFileSync(join(folder, "homebrew.rb"), HOMEBREW);
    expect(run(["ruby", "-wc", formula])).toEqual({ code: 0, out: "Syntax OK\n", err: "" });
    for (const target of PLATFORMS) {
      const [system = "", cpu = ""] = target.split("-");
      const { code, out } = run([
        "env",
        `SYSTEM=${system}`,
        `CPU=${cpu}`,
        "ruby",
        join(folder, "homebrew.rb"),
        formula,
      ]);
      expect(code).toBe(0);
      expect(out.match(/^(url|sha256|version) .*$/gm)).toEqual([
        "version 1.2.3",
        `url ${REPOSITORY}/releases/download/v1.2.3/plansocket-${target}.tar.gz`,
        `sha256 ${digestOf(target)}`,
      ]);
    }
  });

  test("is not made from a release that lacks a platform", () => {
    const { code, err } = render(PLATFORMS.slice(1));
    expect([code, err]).toEqual([1, expect.stringContaining("no checksum for plansocket-linux-x64.tar.gz")]);
    expect(run(["sh", join(root, ".github/homebrew/render.sh")]).code).toBe(2);
  });
});

describe("until an owner publishes releases", () => {
  test("nothing in the repository names one", () => {
    // An owner in front of the project's name, or a page of its own.
    const owner = /(github\.com|ghcr\.io)\/(?!OWNER\/)[\w-]+\/plansocket|plansocket\.github|github\.plansocket/;
    const files = run(["git", "-C", root, "ls-files"]).out.trim().split("\n");
    const naming = files.filter(
      (file) => existsSync(join(root, file)) && owner.test(readFileSync(join(root, file), "utf8")),
    );
    expect(naming).toEqual([]);
    expect(files.length).toBeGreaterThan(100);
    expect(manifest.repository).toBe("");
  });

  test("the package says what people search for", () => {
    for (const word of ["codex", "chatgpt-plan", "openai-compatible", "proxy"])
      expect(manifest.keywords).toContain(word);
    expect(manifest.description).toMatch(/OpenAI-compatible proxy.*ChatGPT plan.*Codex/);
  });

  test("a build refuses an owner that is no address", () => {
    const built = Bun.spawnSync([process.execPath, join(root, "build.ts"), "--target", "none"], {
      env: { ...process.env, PLANSOCKET_REPOSITORY: "https://git.example/a'; touch x; '" },
      stderr: "pipe",
    });
    expect([built.exitCode, built.stderr.toString()]).toEqual([2, expect.stringContaining("must be an address like")]);
  });
});

test.each([
  ["refs/heads/main", "main\nsha-0123456\n"],
  ["refs/tags/v1.2.3", "v1.2.3\nlatest\nsha-0123456\n"],
  ["refs/tags/v2.0.0-rc.1", "v2.0.0-rc.1\nsha-0123456\n"],
])("an image of %s has its tags", (ref, tags) => {
  const { code, out } = run(["sh", join(root, ".github/container/tags.sh"), ref, "0123456789abcdef"]);
  expect([code, out]).toEqual([0, tags]);
});

test("no image is published for other branches", () => {
  expect(run(["sh", join(root, ".github/container/tags.sh"), "refs/heads/other", "0123456"]).code).toBe(1);
});

describe("workflows", () => {
  interface Workflow {
    readonly permissions: unknown;
    readonly jobs: Record<string, { readonly steps: readonly { readonly uses?: string; readonly run?: string }[] }>;
  }
  const workflows = [...new Glob("*.yml").scanSync(join(root, ".github/workflows"))].sort();

  test.each(workflows)(
    "%s runs actions by digest, with rights of its own only where a job needs them",
    async (name) => {
      const text = await Bun.file(join(root, ".github/workflows", name)).text();
      const { permissions, jobs } = Bun.YAML.parse(text) as Workflow;
      expect(permissions).toEqual({ contents: "read" });
      for (const { steps } of Object.values(jobs)) {
        for (const { uses, run: script } of steps) {
          // A tag can be moved to other code, a digest cannot.
          if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
          // Names of branches and tags are chosen by others; in a script they would be code.
          expect(script ?? "").not.toMatch(/\$\{\{ *(github|steps|inputs)\./);
        }
      }
      for (const [, version] of text.matchAll(/uses: .*@[0-9a-f]{40}(.*)$/gm))
        expect(version).toMatch(/^ # v\d+\.\d+\.\d+$/);
    },
  );

  test("publish what the installer and update ask for", async () => {
    const text = await Bun.file(join(root, ".github/workflows/release.yml")).text();
    const files = ["*.tar.gz", "*.zip", "SHA256SUMS", "VERSION", "install.sh", "install.ps1", "plansocket.rb"];
    for (const file of files) expect(text).toContain(`dist/${file}\n`);
  });

  test("ship the file that a Mac has signed, and try each file before any is published", async () => {
    const text = await Bun.file(join(root, ".github/workflows/release.yml")).text();
    const { jobs } = Bun.YAML.parse(text) as { jobs: Record<string, { needs?: string | string[]; "runs-on": string }> };
    expect(jobs["sign"]?.["runs-on"]).toBe("macos-15-intel");
    expect([jobs["gather"]?.needs, jobs["run"]?.needs, jobs["alpine"]?.needs]).toEqual([
      ["build", "sign"],
      "gather",
      "gather",
    ]);
    expect([jobs["publish"]?.needs, jobs["npm"]?.needs]).toEqual([["gather", "run", "alpine"], "publish"]);
    for (const target of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "windows-x64", "windows-arm64"]) {
      expect(text).toContain(`target: ${target} }`);
    }
  });

  test("checksums and formula are made of the final files", () => {
    const dist = join(folder, "dist");
    mkdirSync(dist);
    const archives = PLATFORMS.map((platform) => `plansocket-${platform}.tar.gz`);
    for (const file of [...archives, "plansocket-windows-x64.zip", "install.sh", "install.ps1", "VERSION"]) {
      writeFileSync(join(dist, file), `content of ${file}`);
    }
    const made = () => run(["sh", join(root, ".github/release/sums.sh"), dist, REPOSITORY, "v1.2.3"]);
    expect(made()).toEqual({ code: 0, out: "", err: "" });
    writeFileSync(join(dist, "plansocket-darwin-x64.tar.gz"), "signed");
    expect(made().code).toBe(0);
    const sums = readFileSync(join(dist, "SHA256SUMS"), "utf8");
    expect(sums).toContain(`${digestOf("signed")}  plansocket-darwin-x64.tar.gz\n`);
    expect(readFileSync(join(dist, "plansocket.rb"), "utf8")).toContain(digestOf("signed"));
    expect(sums.trim().split("\n").length).toBe(archives.length + 5);
  });

  test("the installer for Windows has a place for the repository, and its brackets are closed", () => {
    const text = readFileSync(join(root, ".github/windows/install.ps1"), "utf8");
    expect(text).toMatch(/^ *\$repository = ''$/m);
    expect(text).toContain("Get-FileHash");
    const bare = text.replace(/^ *#.*$/gm, "").replace(/'(?:[^']|'')*'|"[^"]*"/g, "");
    for (const [open, close] of ["{}", "()", "[]"])
      expect(bare.split(open ?? "").length).toBe(bare.split(close ?? "").length);
  });
});

describe("README's container", () => {
  const block = async (language: string) => {
    const readme = await Bun.file(join(root, "README.md")).text();
    return new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(readme)?.[1] ?? "";
  };

  test("in compose is confined as the script proves it, and published to this machine only", async () => {
    const compose = Bun.YAML.parse(await block("yaml")) as { services: Record<string, unknown>; volumes: object };
    expect(compose.services["plansocket"]).toMatchObject({
      read_only: true,
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
      ports: [expect.stringMatching(/^127\.0\.0\.1:.*:8787$/)],
      volumes: [expect.stringMatching(/:\/codex$/), expect.stringMatching(/:\/state$/)],
    });
    expect(Object.keys(compose.volumes)).toEqual(["login", "state"]);
  });

  test("knows every name in .env", async () => {
    const compose = await block("yaml");
    const names = [...(await block("ini")).matchAll(/^(?:# )?([A-Z_]+)=/gm)].map((match) => match[1] ?? "");
    const known: readonly string[] = [
      ...Object.values<Setting>(SETTINGS).flatMap(({ env }) => env),
      "OPENAI_REFRESH_TOKEN",
    ];
    expect(names).toContain("PLANSOCKET_API_KEY");
    for (const name of names)
      expect([name, known.includes(name) || compose.includes(`\${${name}:-`)]).toEqual([name, true]);
  });

  test("has the folders, the port and the user that the Dockerfile gives it", async () => {
    const dockerfile = await Bun.file(join(root, "Dockerfile")).text();
    for (const line of ["PORT=8787", "CODEX_HOME=/codex", "PLANSOCKET_STATE_DIR=/state", "USER 65532:65532"]) {
      expect(dockerfile).toContain(line);
    }
  });
});
