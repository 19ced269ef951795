/** Each bucket is so many times as wide as the one before: a quantile is off by 7 % at most. */
const GROWTH = 1.15;
const LOG_GROWTH = Math.log(GROWTH);
/** The last one takes everything from about eleven hours on. In milliseconds. */
const BUCKETS = 126;

/** Stands between the bytes of two sketches in hex: a count of none, which a sketch never has. */
export const HEX_BETWEEN = "0000";

/**
 * A distribution of times in logarithmic buckets: small, and two of them add up to that of both, which quantiles
 * themselves do not.
 */
export class Sketch {
  readonly #counts = new Uint32Array(BUCKETS);

  add(ms: number): void {
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  /** Buckets that hold something, with how much. */
  counts(): [bucket: number, count: number][] {
    return [...this.#counts.entries()].filter(([, count]) => count > 0);
  }

  addCount(bucket: number, count: number): void {
    if (bucket >= 0 && bucket < BUCKETS)
      this.#counts[bucket] = Math.min(0xffff_ffff, (this.#counts[bucket] ?? 0) + count);
  }

  /** Adds what `bytes` holds, which `toBytes` made, also several times; whatever else they hold is left out. */
  addBytes(bytes: Uint8Array): void {
    const counts = this.#counts;
    let bucket = 0;
    let value = 0;
    let factor = 1;
    let isDistance = true;
    // One loop without calls or an iterator: a question may be about a hundred thousand sketches.
    for (let index = 0; index < bytes.length; index += 1) {
      const byte = bytes[index] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte >= 0x80) {
        factor *= 0x80;
        continue;
      }
      if (isDistance) bucket += value;
      else if (value === 0) bucket = 0;
      else if (bucket < BUCKETS) counts[bucket] = Math.min(0xffff_ffff, (counts[bucket] ?? 0) + value);
      isDistance = !isDistance;
      value = 0;
      factor = 1;
    }
  }

  /** Pairs of distance to the last bucket and count, as numbers of seven bits a byte: most hours take ten bytes. */
  toBytes(): Uint8Array {
    const bytes: number[] = [];
    let last = 0;
    this.#counts.forEach((count, bucket) => {
      if (count === 0) return;
      for (let value of [bucket - last, count]) {
        for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) + 0x80);
        bytes.push(value);
      }
      last = bucket;
    });
    return Uint8Array.from(bytes);
  }

  /** The time that `share` (0 to 1) of all stay below, in milliseconds; undefined when there are none. */
  quantile(share: number): number | undefined {
    const counts = this.#counts;
    let total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) total += counts[bucket] ?? 0;
    let rest = Math.max(1, Math.ceil(total * share));
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      rest -= counts[bucket] ?? 0;
      if (rest <= 0) return middleOf(bucket);
    }
    return undefined;
  }
}

function bucketOf(ms: number): number {
  if (!(ms > 1)) return 0;
  return Math.min(BUCKETS - 1, 1 + Math.floor(Math.log(ms) / LOG_GROWTH));
}

function middleOf(bucket: number): number {
  return bucket === 0 ? 1 : GROWTH ** (bucket - 0.5);
}
