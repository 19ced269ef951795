import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** A program of Debian's that is installed, or unpacked without root in the folder that PLANSOCKET_TEST_PROGRAMS names. */
export interface DebianProgram {
  readonly path: string;
  /** Where its libraries are, when it is not installed. */
  readonly env: Readonly<Record<string, string>>;
}

/** Undefined where it is neither. */
export function debianProgram(name: string): DebianProgram | undefined {
  const usual = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const installed = Bun.which(name, { PATH: usual });
  if (installed) return { path: installed, env: {} };
  const folder = process.env["PLANSOCKET_TEST_PROGRAMS"];
  const path = join(folder ?? "", "usr/sbin", name);
  if (folder === undefined || !existsSync(path)) return undefined;
  const libraries = join(folder, "usr/lib");
  const own = readdirSync(libraries).filter((entry) => entry.endsWith("-linux-gnu"));
  return { path, env: { LD_LIBRARY_PATH: own.map((entry) => join(libraries, entry)).join(":") } };
}
