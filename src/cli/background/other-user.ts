import { statSync } from "node:fs";
import { dirname } from "node:path";
import { RelayError } from "../../lib/errors.ts";

/** A refusal that says whose a path is, when it or the nearest folder that can be seen is another user's. */
export function otherUsersFailure(path: string): RelayError | undefined {
  const owner = ownerOf(path);
  const own = process.getuid?.();
  if (owner === undefined || own === undefined || owner === own || owner === 0) return undefined;
  return new RelayError("start_failed", `${path} belongs to another user (id ${owner}), whose relay this is.`, {
    hint: `Run the command as that user; for a relay of your own, choose a folder with --state-dir.`,
  });
}

function ownerOf(path: string): number | undefined {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    try {
      return statSync(at).uid;
    } catch {
      // Missing, or inside a folder that this user may not enter.
    }
  }
  return undefined;
}
