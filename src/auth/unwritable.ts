import { RelayError } from "../lib/errors.ts";
import type { CredentialSource } from "./sources/source.ts";
import { errorCode } from "../lib/thrown.ts";

const WORDS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EDQUOT: "disk quota exceeded",
  ENOSPC: "no space left",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
};

/** An error of the file system in a few words, with its code. */
export function failureWord(error: unknown): string {
  const code = errorCode(error);
  if (code === undefined) return "unknown error";
  const words = WORDS[code];
  return words === undefined ? code : `${words}, ${code}`;
}

/** Why a refresh token is not spent: what it gives could not be saved. `error` is that of the file system. */
export function unwritable(source: CredentialSource, error: unknown): RelayError {
  const code = errorCode(error);
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  const repair = isFull
    ? `Free some space in ${source.folder}`
    : `Make ${source.folder} writable for this user (in a container, mount it without :ro)`;
  const message = `A renewed login could not be saved in ${source.folder} (${failureWord(error)}), so none is asked for.`;
  return new RelayError("login_unwritable", message, {
    cause: error,
    hint: `${repair}, or ${source.elsewhere}.`,
    shouldRetry: false,
  });
}
