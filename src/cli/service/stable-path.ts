import { realpathSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { NAME } from "../../version.ts";

/**
 * The path of the executable at `path` that stays when it is upgraded: Homebrew's `opt` link, else a link on PATH (as
 * those of Nix, Scoop or a `current` folder), else `path` itself. The real path would name one version's folder, which
 * the next upgrade takes away.
 */
export function stablePath(path: string, searchPath: string): string {
  const file = process.platform === "win32" ? `${NAME}.exe` : NAME;
  const onPath = searchPath.split(delimiter).filter(isAbsolute);
  const candidates = [...brewLink(path), ...onPath.map((folder) => join(folder, file))];
  const real = realPath(path);
  return candidates.find((candidate) => realPath(candidate) === real) ?? path;
}

/** `PREFIX/Cellar/NAME/VERSION/bin/NAME` is reached through `PREFIX/opt/NAME/bin/NAME`. */
function brewLink(path: string): string[] {
  const [, prefix, formula, rest] = /^(.+)\/Cellar\/([^/]+)\/[^/]+\/(.+)$/.exec(path) ?? [];
  return prefix === undefined ? [] : [`${prefix}/opt/${formula}/${rest}`];
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
