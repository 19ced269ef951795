import type { JsonObject } from "../lib/json.ts";

/** True for a field that says something; clients write null for what they leave open. */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Names of fields that say something and that nobody reads: they are named to the client rather than lost unseen. */
export function unreadFields(request: JsonObject, read: ReadonlySet<string>): string[] {
  return Object.keys(request)
    .filter((name) => !read.has(name) && isGiven(request[name]))
    .toSorted();
}
