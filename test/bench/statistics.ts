/** What was measured of one program, round by round. */
export type Rounds = readonly number[];

/** The middle of a list; NaN of none. */
export function median(list: Rounds): number {
  return quantile(list, 0.5);
}

/** The value that `part` of the list does not exceed; NaN of none. */
export function quantile(list: Rounds, part: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Ours to theirs, round by round, and of that the middle: what disturbs a round disturbs both. NaN without theirs. */
export function ratio(ours: Rounds, theirs: Rounds): number {
  const ratios = ours.flatMap((value, round) => {
    const other = theirs[round];
    return other === undefined || other === 0 ? [] : [value / other];
  });
  return median(ratios);
}

/** Growth of y with each x, by least squares. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = mean(points.map(({ x }) => x));
  const meanY = mean(points.map(({ y }) => y));
  let above = 0;
  let below = 0;
  for (const { x, y } of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return above / below;
}

function mean(list: Rounds): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}
