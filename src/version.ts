import manifest from "../package.json" with { type: "json" };

declare const PLANSOCKET_COMMIT: string | undefined;
declare const PLANSOCKET_TARGET: string | undefined;
declare const PLANSOCKET_REPOSITORY: string | undefined;

export const NAME = "plansocket";

export const VERSION: string = manifest.version;

/** Short commit that the executable was built from; "" when run from source. */
export const COMMIT: string = typeof PLANSOCKET_COMMIT === "string" ? PLANSOCKET_COMMIT : "";

/** Name of the release archive's platform, as in `linux-x64-musl`; "" when run from source. */
export const TARGET: string = typeof PLANSOCKET_TARGET === "string" ? PLANSOCKET_TARGET : "";

/**
 * URL of the repository that it was built from, whose releases `update` looks at; "" when nobody has named one. The
 * release workflow names its own, so the executables of a fork look at the fork.
 */
export const REPOSITORY: string =
  typeof PLANSOCKET_REPOSITORY === "string" ? PLANSOCKET_REPOSITORY : manifest.repository;
