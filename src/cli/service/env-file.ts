import { readFile } from "node:fs/promises";

/** Variables as an environment file that systemd and a shell read alike. */
export function toEnvFile(variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, "\\$&")}"\n`);
  return `# Settings of the plansocket service; \`plansocket service install\` writes them anew.\n${lines.join("")}`;
}

/** Variables of a file that `toEnvFile` wrote; none when there is no such file. */
export async function readEnvFile(path: string): Promise<Record<string, string>> {
  const text = await readFile(path, "utf8").catch(() => "");
  const found = [...text.matchAll(/^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\[^])*)"$/gm)];
  return Object.fromEntries(found.map(([, name, value]) => [name ?? "", (value ?? "").replace(/\\(["\\`$])/g, "$1")]));
}
