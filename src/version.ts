import manifest from "../package.json" with { type: "json" };

declare const CODEX_RELAY_COMMIT: string | undefined;

export const NAME = "codex-relay";

export const VERSION: string = manifest.version;

/** Short commit that the executable was built from; "" when run from source. */
export const COMMIT: string = typeof CODEX_RELAY_COMMIT === "string" ? CODEX_RELAY_COMMIT : "";
