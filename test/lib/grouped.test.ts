import { expect, test } from "bun:test";
import { grouped } from "../../src/lib/grouped.ts";

test.each([
  [undefined, "0"],
  [7, "7"],
  [999, "999"],
  [1204, "1,204"],
  [100_000, "100,000"],
  [2_000_000, "2,000,000"],
])("%p is written %s", (value, text) => {
  expect(grouped(value)).toBe(text);
});
