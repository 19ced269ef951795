/** A typing slip changes at most this many letters. */
const MOST_EDITS = 2;

/** Candidates that `word` may stand for: those that it begins; else those that take at most two edits, fewest first. */
function suggestions(word: string, candidates: readonly string[]): string[] {
  const lower = word.toLowerCase();
  const begun = lower.replace(/^-+/, "") === "" ? [] : candidates.filter((candidate) => candidate.startsWith(lower));
  if (begun.length > 0) return begun;
  const near = candidates.map((candidate) => ({ candidate, distance: edits(lower, candidate.toLowerCase()) }));
  return near
    .filter(({ candidate, distance }) => distance <= MOST_EDITS && distance < candidate.replace(/^-+/, "").length)
    .toSorted((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

/** `Did you mean 'port'?` where something is near enough, else `otherwise`. */
export function didYouMean(word: string, candidates: readonly string[], otherwise: string): string {
  const [first] = suggestions(word, candidates);
  return first === undefined ? otherwise : `Did you mean '${first}'?`;
}

/** The candidate that takes the fewest edits to become `word`, however many. `candidates` must not be empty. */
export function nearest(word: string, candidates: readonly string[]): string {
  return candidates.toSorted((a, b) => edits(word, a) - edits(word, b))[0] ?? "";
}

/** Letters added, dropped, replaced, or swapped with their neighbor (optimal string alignment). */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
