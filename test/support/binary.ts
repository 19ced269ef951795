import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The executable, built once for a test file, or the one that PLANSOCKET_BINARY names. */
export class Binary {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "plansocket-built-"));

  constructor() {
    const given = process.env["PLANSOCKET_BINARY"];
    this.path = given ?? join(this.#folder, "plansocket");
    if (given !== undefined) return;
    const built = Bun.spawnSync([process.execPath, "build.ts", "--out", this.path], { cwd: root });
    if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  }

  /** Runs it to its end in a home that is not this user's. */
  async run(home: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const child = Bun.spawn([this.path, ...args], {
      cwd: home,
      env: { HOME: home, PATH: process.env["PATH"] ?? "", TZ: "UTC", ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [code, out, err] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code, out, err };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
