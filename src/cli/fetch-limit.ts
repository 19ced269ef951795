import type { Environment } from "../lib/environment.ts";

/**
 * Bun's fetch lets this many requests out at once, queues the rest in silence, and can be told otherwise only by the
 * environment that a process starts with. `spare` is for questions beside the traffic, as for the models.
 */
export const FETCH_LIMIT = { variable: "BUN_CONFIG_MAX_HTTP_REQUESTS", usual: 256, lifted: 65_535, spare: 16 } as const;

/** How many requests can be under way in this process without one that waits in silence. */
export function mostRequests(env: Environment): number {
  const limit = Number(env[FETCH_LIMIT.variable] ?? FETCH_LIMIT.usual);
  return Math.max(1, (limit > 0 ? limit : FETCH_LIMIT.usual) - FETCH_LIMIT.spare);
}
