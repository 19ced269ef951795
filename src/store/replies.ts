/** A store's reply that is a list, as texts; any other is an empty one. */
export function textsOf(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

/** A hash: a map, which Bun gives as an object, or a flat list, as scripts and the older protocol have it. */
export function pairsOf(reply: unknown): [string, string][] {
  if (typeof reply === "object" && reply !== null && !Array.isArray(reply)) {
    return Object.entries(reply).map(([name, value]) => [name, String(value)]);
  }
  const texts = textsOf(reply);
  return texts.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, texts[index + 1] ?? ""]] : []));
}
