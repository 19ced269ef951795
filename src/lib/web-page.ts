/** What Cloudflare puts on its own pages (developers.cloudflare.com, "Detect a Challenge Page response"). */
const CLOUDFLARE_TEXT = /cloudflare|cf-chl|challenge-platform|just a moment/i;

/** True when a page is Cloudflare's own by its headers or its text; a status alone says nothing about who answered. */
export function isCloudflarePage(headers: Headers | undefined, text: string): boolean {
  if (headers?.has("cf-mitigated") || headers?.has("cf-ray")) return true;
  return /cloudflare/i.test(headers?.get("server") ?? "") || CLOUDFLARE_TEXT.test(text);
}

/** The proxy that a page names as its sender, as in `squid/6.6`; undefined when it names none. */
export function proxyOfPage(headers: Headers): string | undefined {
  // In `via` the product stands in brackets behind the host that passed the reply on.
  const places = [headers.get("server"), /\(([^()]*)\)/.exec(headers.get("via") ?? "")?.[1]];
  const named = places.find((place) =>
    /squid|blue ?coat|proxysg|zscaler|mcafee|forti|websense|forcepoint|netskope|tinyproxy|privoxy/i.test(place ?? ""),
  );
  if (named) return named.replace(/[^\x20-\x7e]/g, "").slice(0, 40);
  return headers.has("x-squid-error") ? "squid" : undefined;
}

/** What to do when a page came in place of an answer and nothing says whose it is. */
export const PAGE_HINT =
  "Something on the way answers in its place: open a web page to see whether this network asks for a sign-in, and check --proxy.";
