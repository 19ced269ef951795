/** 1204 as 1,204. Not by Intl, whose tables cost megabytes. */
export function grouped(value: number | string | boolean | undefined): string {
  const digits = String(value ?? 0);
  const groups: string[] = [];
  for (let end = digits.length; end > 0; end -= 3) groups.unshift(digits.slice(Math.max(0, end - 3), end));
  return groups.join(",");
}
