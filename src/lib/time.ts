const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A length of time in its two largest units, as in `3 h 51 min`. Below a minute it is in seconds. */
export function span(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.round(ms / 1000))} s`;
  const minutes = Math.round(ms / MINUTE_MS);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  const parts =
    days > 0
      ? [`${days} d`, hours > 0 ? `${hours} h` : ""]
      : [hours > 0 ? `${hours} h` : "", minutes % 60 > 0 ? `${minutes % 60} min` : ""];
  return parts.filter((part) => part !== "").join(" ");
}

/** A moment for people, in local time: only the clock for the next 20 hours, else with its day. */
export function moment(atMs: number, nowMs: number): string {
  const date = new Date(atMs);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (Math.abs(atMs - nowMs) < 20 * HOUR_MS) return clock;
  return `${day(atMs, nowMs)} ${clock}`;
}

/** The local day of a moment for people, as in `Fri 3 Nov`, with its year where that is not plain. */
export function day(atMs: number, nowMs: number): string {
  const date = new Date(atMs);
  const isFar = Math.abs(atMs - nowMs) > 300 * DAY_MS;
  // Not by Intl: its tables cost megabytes, and 20 ms for the days of a year.
  const name = `${WEEKDAYS[date.getDay()]} ${date.getDate()} ${MONTHS[date.getMonth()]}`;
  return isFar ? `${name} ${date.getFullYear()}` : name;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
