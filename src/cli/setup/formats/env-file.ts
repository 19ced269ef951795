import { lineEndOf } from "./refuse.ts";

/** Sets variables in a `.env` text; lines of others, remarks and order stay. */
export function editEnvFile(before: string, values: Readonly<Record<string, string>>): string {
  const lineEnd = lineEndOf(before);
  const lines = before === "" ? [] : before.replace(/\r?\n$/, "").split(/\r?\n/);
  for (const [name, value] of Object.entries(values)) {
    const line = `${name}=${/^[\w./:@-]*$/.test(value) ? value : JSON.stringify(value)}`;
    // Of doubled names the last one counts.
    const at = lines.findLastIndex((each) => new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(each));
    if (at < 0) lines.push(line);
    else lines[at] = `${/^\s*export\s+/.exec(lines[at] ?? "")?.[0] ?? ""}${line}`;
  }
  return lines.join(lineEnd) + lineEnd;
}
