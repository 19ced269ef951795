/** What a request wants of a model, in the words of the GenAI conventions. */
export type Operation = "chat" | "text_completion" | "generate_content";

const OPERATIONS: readonly (readonly [RegExp, Operation])[] = [
  [/\/(?:chat\/completions|responses|responses\/compact|messages)$|^\/api\/chat$/, "chat"],
  [/\/completions$|^\/api\/generate$/, "text_completion"],
  [/\/(?:images\/(?:generations|edits)|audio\/transcriptions)$/, "generate_content"],
];

/** By the route's pattern; undefined where no model is asked. */
export function operationOf(route: string | undefined): Operation | undefined {
  return OPERATIONS.find(([pattern]) => pattern.test(route ?? ""))?.[1];
}

const METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);

/** A method as the HTTP conventions name it: clients may make up their own. */
export function methodOf(method: string): string {
  return METHODS.has(method) ? method : "_OTHER";
}

/**
 * Whether a backend is to go on with the trace. The vendor's own is not: the ids of its user's traces are of no use to it,
 * would tie requests of different conversations together there, and are a header that no answer needs. A gateway that the
 * owner has put in between (`--base-url`) is the next hop of their own system.
 */
export function mayKnowTrace({ hostname }: URL): boolean {
  return !/(?:^|\.)(?:chatgpt\.com|openai\.com)$/i.test(hostname);
}
