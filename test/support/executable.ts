import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Long enough to compile the executable on a busy machine. */
export const BUILD_MS = 120_000;

/** The executable that PLANSOCKET_BINARY names, else one that is built for this test file. */
export function builtExecutable(): { readonly path: string; remove(): void } {
  const given = process.env["PLANSOCKET_BINARY"];
  if (given !== undefined) return { path: given, remove: () => {} };
  const folder = mkdtempSync(join(tmpdir(), "plansocket-built-"));
  const path = join(folder, "plansocket");
  const built = Bun.spawnSync([process.execPath, "build.ts", "--out", path], { cwd: root });
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
