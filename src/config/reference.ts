import { defaultText, SETTINGS, environmentNames, type Setting } from "./settings.ts";

/** The table of all settings in Markdown, for documents. */
export function settingsReference(): string {
  const rows = Object.values<Setting>(SETTINGS).map((setting) => [
    codes(setting.flags),
    codes(environmentNames(setting)),
    defaultText(setting) || (setting.value === undefined ? "off" : "none"),
    setting.help,
  ]);
  return [["flag", "environment", "default", ""], ["---", "---", "---", "---"], ...rows].map(rowOf).join("\n");
}

function codes(names: readonly string[]): string {
  return names.length === 0 ? "–" : names.map((name) => `\`${name}\``).join(", ");
}

function rowOf(cells: readonly string[]): string {
  if (cells[0] === "---") return `|${cells.join("|")}|`;
  return `| ${cells.map((cell) => cell.replaceAll("|", String.raw`\|`)).join(" | ")} |`.replace("|  |", "| |");
}
