import type { JsonObject } from "../lib/json.ts";

/** True for a field that says something; clients write null for what they leave open. */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Names of fields that say something and that nobody reads: they are named to the client rather than lost unseen. */
export function unreadFields(request: JsonObject, read: ReadonlySet<string>): string[] {
  const unread: string[] = [];
  for (const name in request) if (!read.has(name) && isGiven(request[name])) unread.push(name);
  return unread.length > 1 ? unread.toSorted() : unread;
}
