import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Environment } from "../../lib/environment.ts";
import { NAME } from "../../version.ts";

/** Other executables of this name on PATH, which a shell may start instead of `self`; links to it do not count. */
export function otherProgramsOnPath(env: Environment, self: string): string[] {
  const file = process.platform === "win32" ? `${NAME}.exe` : NAME;
  const found = (env["PATH"] ?? "").split(delimiter).flatMap((folder) => realPathOf(join(folder || ".", file)) ?? []);
  const own = realPathOf(self);
  return [...new Set(found)].filter((path) => path !== own);
}

function realPathOf(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
