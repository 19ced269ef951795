import { chown, rename, rm } from "node:fs/promises";
import { writeAtomically } from "../../lib/atomic-file.ts";
import { RelayError } from "../../lib/errors.ts";
import { NAME } from "../../version.ts";
import { notWritable, type Place } from "./place.ts";
import { errorCode } from "../../lib/thrown.ts";

const PROOF_TIMEOUT_MS = 30_000;

/**
 * Puts a new executable in the place of the running one, in one step and only after it has run: whatever fails before
 * leaves the old one. A relay that is running goes on with the old one.
 */
export async function replaceExecutable(place: Place, executable: Uint8Array, version: string): Promise<void> {
  try {
    await writeAtomically(place.path, executable, place.mode, async (temporary) => {
      await prove(temporary, version);
      // Root may update what is somebody else's; it stays theirs.
      if (process.getuid?.() === 0) await chown(temporary, place.uid, place.gid);
      if (process.platform === "win32") await moveAside(place.path);
    });
  } catch (error) {
    if (process.platform === "win32") await rename(aside(place.path), place.path).catch(() => {});
    throw asFailure(error, place);
  }
}

/** The file runs here, and is what it was said to be. */
async function prove(path: string, version: string): Promise<void> {
  if (process.platform === "darwin") sign(path);
  const { exitCode, stdout } = Bun.spawnSync([path, "--version"], {
    stdin: "ignore",
    stderr: "ignore",
    timeout: PROOF_TIMEOUT_MS,
  });
  if (exitCode === 0 && stdout.toString().split(/\s/)[1] === version) return;
  throw new RelayError("update_failed", `${NAME} ${version} does not run on this machine.`, {
    hint: "Nothing was changed; please report your system.",
  });
}

/** Apple silicon runs nothing unsigned. Releases are signed; a mirror's own build may not be. */
function sign(path: string): void {
  const quietly = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
  if (Bun.which("codesign") === null || Bun.spawnSync(["codesign", "--verify", path], quietly).success) return;
  // What cannot be verified can often not be replaced either, only removed.
  Bun.spawnSync(["codesign", "--remove-signature", path], quietly);
  Bun.spawnSync(["codesign", "--force", "--sign", "-", path], quietly);
}

/** Windows lets nobody write over a program that runs, but it may be renamed. */
async function moveAside(path: string): Promise<void> {
  await rm(aside(path), { force: true });
  await rename(path, aside(path));
}

function aside(path: string): string {
  return `${path}.old`;
}

function asFailure(error: unknown, place: Place): unknown {
  const code = errorCode(error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return notWritable(place.path, error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new RelayError("update_failed", `There is no room for the new ${NAME} beside ${place.path}.`, {
      cause: error,
      hint: "Nothing was changed; make room for about 120 MB.",
    });
  }
  return error;
}
