import { expect, test } from "bun:test";
import { day, moment } from "../../src/lib/time.ts";

const NOW = new Date(2026, 10, 3, 14, 5).getTime();

test.each([
  [new Date(2026, 10, 3, 23), "23:00", "Tue 3 Nov"],
  [new Date(2026, 10, 1, 9, 7), "Sun 1 Nov 09:07", "Sun 1 Nov"],
  [new Date(2026, 8, 30, 0), "Wed 30 Sep 00:00", "Wed 30 Sep"],
  [new Date(2025, 10, 3, 14), "Mon 3 Nov 2025 14:00", "Mon 3 Nov 2025"],
])("%s is told with as much of its day as is needed", (date, asMoment, asDay) => {
  expect([moment(date.getTime(), NOW), day(date.getTime(), NOW)]).toEqual([asMoment, asDay]);
});
