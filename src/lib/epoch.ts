/** The last millisecond, either way from 1970, that a calendar holds. */
const CALENDAR_MS = 8.64e15;

/** Epoch milliseconds as others sent them; undefined for what is no moment: such a date throws when it is shown. */
export function validEpochMs(ms: number): number | undefined {
  return Math.abs(ms) <= CALENDAR_MS ? ms : undefined;
}
