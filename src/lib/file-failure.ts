import { RelayError, type ErrorCode } from "./errors.ts";
import { nonEmptyString } from "./json.ts";
import { errorField, errorCode } from "./thrown.ts";

/** What the system's codes mean, and what helps. */
const REASONS: Readonly<Record<string, readonly [reason: string, fix: string]>> = {
  EACCES: ["this user may not", "Give this user access to it and its folder"],
  EPERM: ["the system does not allow it", "Check its owner, and whether it is protected or immutable"],
  EROFS: ["its file system is read-only", "Make it writable"],
  ENOSPC: ["the disk is full", "Free some space"],
  EDQUOT: ["the disk quota is used up", "Free some space"],
  ENOTDIR: ["a file is where a folder should be", "Move that file away"],
  EISDIR: ["a folder is where a file should be", "Move that folder away"],
  ENOENT: ["its folder does not exist", "Make that folder"],
  ELOOP: ["its symbolic links lead in a circle", "Fix the link"],
  ENAMETOOLONG: ["the path is too long", "Choose a shorter one"],
  EBUSY: ["another program holds it", "Close that program"],
  EIO: ["the disk failed", "Check the disk"],
  EMFILE: ["too many files are open", "Raise the limit (`ulimit -n`)"],
  ENFILE: ["too many files are open on this machine", "Close other programs"],
};

/** File systems without modes, such as FAT and some network shares, refuse them with any of these. */
const REFUSED_MODE = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"]);
const NO_MODES = ["could not be set: its file system refuses", "Keep it on a file system that has modes"] as const;

export interface FileFailureOptions {
  readonly code?: ErrorCode;
  /** The file, when the system's error does not name it. */
  readonly path?: string;
  readonly verb?: "written" | "read";
  /** Ends the hint, as in `or choose another place with --state-dir`. */
  readonly instead?: string;
}

/** A failed file operation in words; undefined for anything else. */
export function fileFailure(error: unknown, options: FileFailureOptions = {}): RelayError | undefined {
  // `rm` says ERR_FS_EISDIR where the system says EISDIR.
  const code = errorCode(error)?.replace(/^ERR_FS_/, "") ?? "";
  const [path, dest, syscall] = ["path", "dest", "syscall"].map((field) => nonEmptyString(errorField(error, field)));
  const place = options.path ?? dest ?? path ?? "A file";
  const verb = options.verb ?? (syscall === "read" || syscall === "scandir" ? "read" : "written");
  const isMode = REFUSED_MODE.has(code) && (syscall === "fchmod" || syscall === "chmod");
  const known = isMode ? NO_MODES : REASONS[code];
  if (!known) return undefined;
  const [reason, fix] = known;
  return new RelayError(
    options.code ?? "start_failed",
    isMode ? `The mode of ${place} ${reason} (${code}).` : `${place} could not be ${verb}: ${reason} (${code}).`,
    { hint: `${fix}${options.instead === undefined ? "" : `, ${options.instead}`}.`, cause: error },
  );
}
