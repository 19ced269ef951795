import { expect, test } from "bun:test";
import fc from "fast-check";
import { HEX_BETWEEN, Sketch } from "../../src/ledger/sketch.ts";

const sketchOf = (times: readonly number[]) => {
  const sketch = new Sketch();
  for (const time of times) sketch.add(time);
  return sketch;
};
const times = fc.array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 300 });

test("a quantile is off by less than a tenth", () => {
  fc.assert(
    fc.property(times, fc.constantFrom(0.5, 0.95, 1), (values, share) => {
      const sorted = values.toSorted((a, b) => a - b);
      const exact = sorted[Math.max(0, Math.ceil(values.length * share) - 1)] ?? 0;
      const found = sketchOf(values).quantile(share) ?? 0;
      expect(Math.abs(found - exact)).toBeLessThanOrEqual(Math.max(1, exact * 0.1));
    }),
  );
});

test("two sketches add up to that of all their times, through bytes as well", () => {
  fc.assert(
    fc.property(times, times, (first, second) => {
      const both = new Sketch();
      both.addBytes(sketchOf(first).toBytes());
      both.addBytes(sketchOf(second).toBytes());
      expect(both.toBytes()).toEqual(sketchOf([...first, ...second]).toBytes());
    }),
  );
});

test("sketches in hex, one after the other, add up too, also empty ones", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: 1, max: 10_000_000 })), { maxLength: 5 }), (lists) => {
      const hex = lists.map((list) => Buffer.from(sketchOf(list).toBytes()).toString("hex")).join(HEX_BETWEEN);
      const all = new Sketch();
      all.addBytes(Buffer.from(hex, "hex"));
      expect(all.toBytes()).toEqual(sketchOf(lists.flat()).toBytes());
    }),
  );
});

test("junk in a file is no time and no endless loop", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const sketch = new Sketch();
      sketch.addBytes(bytes);
      const median = sketch.quantile(0.5);
      if (median !== undefined) expect(median).toBeGreaterThan(0);
    }),
  );
  expect(new Sketch().quantile(0.5)).toBeUndefined();
});

test.each([Number.NaN, -1, 0, Number.POSITIVE_INFINITY])("%d is counted at an end of the scale", (ms) => {
  expect(sketchOf([ms]).quantile(0.5)).toBeGreaterThan(0);
});
