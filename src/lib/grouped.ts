/** 1204 as 1,204. Not by Intl, whose tables cost megabytes. */
export function grouped(value: number | string | boolean | undefined): string {
  return String(value ?? 0).replace(/\B(?=(\d{3})+$)/g, ",");
}
