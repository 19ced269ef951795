import manifest from "../package.json" with { type: "json" };

declare const CODEX_RELAY_COMMIT: string | undefined;
declare const CODEX_RELAY_TARGET: string | undefined;
declare const CODEX_RELAY_REPOSITORY: string | undefined;

export const NAME = "codex-relay";

export const VERSION: string = manifest.version;

/** Short commit that the executable was built from; "" when run from source. */
export const COMMIT: string = typeof CODEX_RELAY_COMMIT === "string" ? CODEX_RELAY_COMMIT : "";

/** Name of the release archive's platform, as in `linux-x64-musl`; "" when run from source. */
export const TARGET: string = typeof CODEX_RELAY_TARGET === "string" ? CODEX_RELAY_TARGET : "";

/** Where it was built from, and where its releases are: a fork's executables look at the fork. */
export const REPOSITORY: string =
  typeof CODEX_RELAY_REPOSITORY === "string" ? CODEX_RELAY_REPOSITORY : manifest.repository;
