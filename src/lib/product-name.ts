const LONGEST = 40;

/**
 * The product that a user agent names first, without its version: `claude-cli/2.1 (external)` is `claude-cli`,
 * `OpenAI/Python 2.4.0` is `OpenAI/Python`. Browsers all begin alike, so they are told by what they really are. "" for
 * none; only letters, digits and `. _ - / @ +` are kept, because clients may send anything.
 */
export function productName(userAgent: string | null): string {
  if (!userAgent) return "";
  if (userAgent.startsWith("Mozilla/")) return browserName(userAgent);
  const [first = ""] = userAgent.trim().split(/[\s(;,]/, 1);
  const name = first.replace(/\/v?\d[^/]*$/i, "");
  return name.replace(/[^\w./@+-]/g, "").slice(0, LONGEST);
}

/** Later names are those that the earlier ones also claim to be. */
const BROWSERS = ["Electron", "Edg", "OPR", "Firefox", "Chrome", "Safari"] as const;

function browserName(userAgent: string): string {
  return BROWSERS.find((name) => userAgent.includes(`${name}/`)) ?? "browser";
}
