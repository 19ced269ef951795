import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { dirname, sep } from "node:path";
import { CONTAINER_MARK } from "../../config/load.ts";
import { RelayError } from "../../lib/errors.ts";
import { NAME } from "../../version.ts";

/** The file that an update replaces. */
export interface Place {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Folders whose content belongs to a package manager, and how that one updates. */
const MANAGERS: readonly (readonly [part: string, name: string, command: string])[] = [
  ["/Cellar/", "Homebrew", `brew upgrade ${NAME}`],
  ["/nix/store/", "Nix", "your Nix configuration"],
  ["/gnu/store/", "Guix", `guix upgrade ${NAME}`],
  ["/scoop/apps/", "Scoop", `scoop update ${NAME}`],
  ["/snap/", "snap", `snap refresh ${NAME}`],
  ["/node_modules/", "npm", "the package manager that brought it"],
];

/** `/usr/local` is its owner's; what lies here, a distribution put there. */
const SYSTEM_FOLDERS = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/lib", "/usr/libexec"];

/** The running executable, if it may replace itself. Throws `update_failed` with the right way to update when not. */
export function placeOf(executable: string, env: Readonly<Record<string, string | undefined>>): Place {
  if (!Bun.isStandaloneExecutable) {
    throw refusal("This runs from source, which an update does not touch.", "Run `git pull` in the checkout.");
  }
  if (env[CONTAINER_MARK]) {
    throw refusal("This runs in a container, whose image is updated as a whole.", "Pull the newer image.");
  }
  const path = realpathSync(executable);
  refuseManaged(path);
  const folder = dirname(path);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(path, error);
  }
  const { mode, uid, gid } = statSync(path);
  return { path, mode: mode & 0o7777, uid, gid };
}

/** Exported for tests: which paths belong to a package manager cannot be tried by running from there. */
export function refuseManaged(path: string): void {
  const shown = path.split(sep).join("/");
  const manager = MANAGERS.find(([part]) => shown.includes(part));
  if (manager) {
    const [, name, command] = manager;
    const how = command.includes(NAME) ? `Run \`${command}\`.` : `Update it with ${command}.`;
    throw refusal(`${path} was installed by ${name}.`, how);
  }
  if (SYSTEM_FOLDERS.some((folder) => dirname(shown) === folder || dirname(shown).startsWith(`${folder}/`))) {
    throw refusal(`${path} belongs to the system's package manager.`, "Update it there.");
  }
}

/** The failure of a folder that its user may not write to. */
export function notWritable(path: string, cause: unknown): RelayError {
  return new RelayError("update_failed", `${path} cannot be replaced: its folder is not writable.`, {
    cause,
    hint: `Run this as the owner of ${dirname(path)}, or install it to your own ~/.local/bin with install.sh.`,
  });
}

function refusal(message: string, hint: string): RelayError {
  return new RelayError("update_failed", message, { hint });
}
