import { homedir } from "node:os";

/** The user's own folder, without a slash at the end: "" where there is none of its own. */
export function homeFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return (env["HOME"] || known()).replace(/(?<!\/)\/+$/, "");
}

/** In containers a user may be a mere number that no list of users knows. */
function known(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}
