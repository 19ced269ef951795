import { defineCommand } from "citty";
import type { LoginFacts } from "../../auth/keeper.ts";
import { LOGIN_NEEDS, LOGIN_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { printJson, printText } from "../output.ts";
import { moment, span } from "../../lib/time.ts";
import { openServices } from "../services.ts";

const OWN: Readonly<Record<string, OwnFlag>> = { json: { help: "print JSON" } };

export const whoami = defineCommand({
  meta: { name: "whoami", description: "Show whose login is used, and how long it is good for." },
  args: citty(OWN, LOGIN_SETTINGS),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const { credentials } = await openServices(flags.settings, process.env, { judgment: { needs: LOGIN_NEEDS } });
    const facts = await credentials.describe();
    if (flags.own["json"]) printJson(asJson(facts, Date.now()));
    else for (const [name, value] of rowsOf(facts, Date.now())) printText(`${name.padEnd(9)}${value}`);
    return 0;
  },
});

/** For scripts; moments in ISO 8601. */
function asJson(facts: LoginFacts, nowMs: number) {
  const iso = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    mode: facts.kind,
    email: facts.email ?? null,
    plan: facts.plan ?? null,
    account_id: facts.accountId ?? null,
    source: facts.source,
    issued_at: iso(facts.issuedAtMs),
    expires_at: iso(facts.expiresAtMs),
    renewed_at: iso(facts.renewedAtMs),
    is_expired: facts.expiresAtMs !== undefined && facts.expiresAtMs <= nowMs,
    can_renew: facts.canRenew,
  };
}

function rowsOf(facts: LoginFacts, nowMs: number): [string, string][] {
  if (facts.kind === "api-key") {
    return [
      ["mode", "OpenAI API key"],
      ["source", facts.source],
    ];
  }
  return [
    ["email", facts.email ?? "not said"],
    ["plan", facts.plan ?? "not said"],
    ["account", facts.accountId ?? "not said"],
    ["mode", facts.isPersonalToken ? "ChatGPT plan, personal access token" : "ChatGPT plan"],
    ["source", facts.source],
    ["token", tokenRow(facts, nowMs)],
    ["renewal", renewalRow(facts)],
  ];
}

function renewalRow({ canRenew, isPersonalToken }: LoginFacts): string {
  if (isPersonalToken) return "none: it lasts until it is revoked";
  return canRenew ? "by itself, shortly before the token ends" : "none: it ends with its token";
}

function tokenRow({ issuedAtMs, renewedAtMs, expiresAtMs }: LoginFacts, nowMs: number): string {
  const bornMs = issuedAtMs ?? renewedAtMs;
  const age = bornMs === undefined ? "age unknown" : `${span(nowMs - bornMs)} old`;
  if (expiresAtMs === undefined) return `${age}, does not say when it ends`;
  const end = moment(expiresAtMs, nowMs);
  return expiresAtMs > nowMs
    ? `${age}, good for ${span(expiresAtMs - nowMs)} (until ${end})`
    : `${age}, ended ${span(nowMs - expiresAtMs)} ago (${end})`;
}
