import { DIALECTS } from "../../protocols/index.ts";
import type { Protocol, ProtocolEntry } from "../../protocols/protocol.ts";
import type { Admitted } from "../handle.ts";

export type Handler = (admitted: Admitted) => Promise<Response> | Response;

/** One path and what may be done there. `:name` matches one segment, a last `*` the rest. */
export interface Route {
  readonly path: string;
  /** Open routes (health) need no key. */
  readonly isOpen: boolean;
  /** Set on routes of one dialect, which refuses in its own words there. */
  readonly dialect?: ProtocolEntry;
  readonly methods: Readonly<Record<string, Handler>>;
}

/**
 * Families of the public APIs that the relay does not offer. Separate from unknown paths, so that a client's author
 * learns "not here" instead of looking for a typing error.
 */
const NOT_OFFERED =
  /^\/v1\/(assistants|audio|batches|chatkit|completions|containers|conversations|edits|embeddings|engines|evals|files|fine_tuning|fine-tunes|images|messages|moderations|organization|rerank|realtime|skills|threads|uploads|vector_stores|videos)(\/|$)|^\/api\/(chat|generate|show|tags|ps|version|embed|embeddings|pull|push|create|copy|delete|blobs\/.*)$/;

/** True for paths of known APIs that the relay does not speak, with or without `/v1`. */
export function isNotOffered(path: string): boolean {
  return NOT_OFFERED.test(path) || NOT_OFFERED.test(`/v1${path}`);
}

/** The path of a request. Not `new URL(request.url)`: that throws on a hostile Host and on HTTP/1.0 without one. */
export function pathOf(url: string): string {
  const path = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?([^?#]*)/i.exec(url)?.[1] ?? "";
  return path === "" ? "/" : path;
}

/** The query of a request. */
export function parametersOf(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start < 0 ? "" : url.slice(start + 1).split("#")[0]);
}

/** True when a path fits a route's pattern. */
export function fits(pattern: string, path: string): boolean {
  if (pattern.endsWith("/*")) return path.startsWith(pattern.slice(0, -1)) && path.length >= pattern.length;
  const wanted = pattern.split("/");
  const given = path.split("/");
  return wanted.length === given.length && wanted.every((part, index) => part.startsWith(":") || part === given[index]);
}

/** Routes that the backend has under the same names, where the Codex CLI looks for them. */
const IN_BACKEND = /^\/v1\/(responses|responses\/compact|models|images\/generations|images\/edits)$/;

/**
 * A path and its other names: `/v1` paths without the prefix, which some clients leave out, and below `/backend-api/codex`
 * where the backend has them.
 */
export function withAlias(path: string): string[] {
  if (!path.startsWith("/v1/")) return [path];
  const bare = path.slice("/v1".length);
  return IN_BACKEND.test(path) ? [path, bare, `/backend-api/codex${bare}`] : [path, bare];
}

/** A segment of a path as its client meant it. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The dialect that a request's headers or path name, if they name one. */
export async function dialectNamedIn({ headers, url }: Request): Promise<Protocol | undefined> {
  const path = pathOf(url);
  return DIALECTS.find((dialect) => dialect.recognizes?.(headers, path))?.load();
}
