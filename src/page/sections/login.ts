import type { PageState } from "../contract.ts";
import { codeLine, el } from "../dom.ts";
import { moment, span } from "../format.ts";

/** Beyond it a date says more than a count of days. */
const FAR_MS = 60 * 86_400_000;

/** Who is signed in, and the fix when nobody is. */
export function loginSection({ login, nowMs }: PageState): readonly Node[] {
  if (!login.isGood) {
    return [
      el("p", { class: "status bad" }, login.message),
      el("p", {}, login.fix),
      codeLine("plansocket login", "the command that signs in"),
    ];
  }
  const isSoon = login.expiresAtMs !== undefined && login.expiresAtMs < nowMs;
  const token = login.expiresAtMs === undefined ? "no end known" : tokenText(login.expiresAtMs, nowMs);
  return [
    el("p", { class: `status ${isSoon ? "bad" : "good"}` }, login.kind === "api-key" ? "API key" : "Signed in"),
    el(
      "dl",
      {},
      ...fact("Account", login.email),
      ...fact("Plan", login.plan),
      ...fact("Token", token),
      ...fact("Kept in", login.source),
    ),
  ];
}

function tokenText(expiresAtMs: number, nowMs: number): string {
  if (expiresAtMs <= nowMs) return "has ended; it is renewed with the next request";
  const isFar = expiresAtMs - nowMs > FAR_MS;
  return `good until ${moment(expiresAtMs, nowMs)}${isFar ? "" : ` (${span(expiresAtMs - nowMs)})`}, renewed before`;
}

function fact(name: string, value: string | undefined): Node[] {
  return value === undefined ? [] : [el("dt", {}, name), el("dd", {}, value)];
}
