/** As it was when the program began. */
let callers: number | undefined;

/**
 * A umask that takes rights from the owner makes folders that the owner cannot enter: it keeps off group and others
 * only. Called once, before anything is made.
 */
export function keepOwnRights(): void {
  callers = process.umask(0o077);
  process.umask(callers & 0o077);
}

/** Runs `act`, which starts a program of the caller's, under the umask that the caller has. */
export function underCallersUmask<Result>(act: () => Result): Result {
  if (callers === undefined) return act();
  const own = process.umask(callers);
  try {
    return act();
  } finally {
    process.umask(own);
  }
}
