const number = new Intl.NumberFormat("en-US");
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const weekday = new Intl.DateTimeFormat("en-US", { weekday: "short", day: "numeric", month: "short" });

export const grouped = (value: number): string => number.format(value);

/** 12,345,678 as 12.3M. */
export const short = (value: number): string => (value < 10_000 ? number.format(value) : compact.format(value));

export const percent = (value: number): string => `${Number.isInteger(value) ? value : value.toFixed(1)}\u00a0%`;

export function clock(atMs: number, withSeconds = false): string {
  const date = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds ? `${minutes}:${two(date.getSeconds())}` : minutes;
}

/** Today only the clock, else with its day, and only the date when it is far. */
export function moment(atMs: number, nowMs: number): string {
  if (Math.abs(atMs - nowMs) > 300 * 86_400_000)
    return new Date(atMs).toLocaleDateString("en-US", { dateStyle: "medium" });
  const isSameDay = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  return isSameDay ? clock(atMs) : `${weekday.format(atMs)}, ${clock(atMs)}`;
}

export const day = (atMs: number): string => weekday.format(atMs);

/** In its two largest units. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  const parts = days > 0 ? [`${days} d`, hours && `${hours} h`] : [hours && `${hours} h`, rest && `${rest} min`];
  return parts.filter(Boolean).join(" ");
}

/** Of an answer. */
export function duration(ms: number | undefined): string {
  if (ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
