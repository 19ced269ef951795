/** Whom a relay lets in, for its first lines; `hasKeys` says whether clients have keys of their own. */
export function keyNeed(apiKey: string | undefined, hasKeys: boolean): string {
  if (hasKeys) return "required (`plansocket keys list` shows them)";
  return apiKey === undefined ? "none asked for (any text will do)" : "required";
}
