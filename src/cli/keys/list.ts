import { limitsAsJson, type KeyPlace } from "../../keys/key-list.ts";
import { stateOf, type ClientKey } from "../../keys/key.ts";
import type { UsagePlace } from "../../keys/usage-file.ts";
import { dayOf, NO_USAGE, shareOf, type UsageState } from "../../keys/usage-state.ts";
import { grouped } from "../../lib/grouped.ts";
import { moment } from "../../lib/time.ts";
import { print, printJson, say } from "../output.ts";
import { limitsText } from "./limits-text.ts";

/** Every key with what it may do and has done, as running relays wrote it a second ago; never the key itself. */
export function listKeys(file: KeyPlace, usageFile: Pick<UsagePlace, "read">, isJson: boolean): number {
  const nowMs = Date.now();
  const read = file.read();
  const keys = read?.keys ?? [];
  const usage = usageFile.read() ?? NO_USAGE;
  if (isJson) {
    printJson(keys.map((key) => asJson(key, usage, nowMs)));
    return 0;
  }
  if (keys.length === 0) {
    const effect = read
      ? `${file.path} is there all the same, so relays let in the key of --api-key alone.`
      : "Relays ask for one only where --api-key is set.";
    say(`There are no keys. ${effect} \`plansocket keys add NAME\` makes one.`);
    return 0;
  }
  print(table([HEADINGS, ...keys.map((key) => row(key, usage, nowMs))]));
  return 0;
}

const HEADINGS = ["NAME", "STATE", "CREATED", "LAST USED", "TODAY", "LIMITS"];

function row(key: ClientKey, usage: UsageState, nowMs: number): string[] {
  const { lastUsedAtMs, tokens, requests } = useOf(key, usage, nowMs);
  return [
    key.name,
    stateText(key, nowMs),
    moment(key.createdAtMs, nowMs),
    lastUsedAtMs === undefined ? "never" : moment(lastUsedAtMs, nowMs),
    `${grouped(requests)} req, ${grouped(tokens)} tokens`,
    [limitsText(key.limits), ...sharesOf(key, usage, nowMs).map(({ percent }) => `about ${percent} % used`)].join("; "),
  ];
}

/** What a key has used today, and when it was used last. */
function useOf({ id }: ClientKey, { keys }: UsageState, nowMs: number) {
  const { day, tokens = 0, requests = 0, lastUsedAtMs } = keys[id] ?? {};
  return { lastUsedAtMs, ...(day === dayOf(nowMs) ? { tokens, requests } : { tokens: 0, requests: 0 }) };
}

/** Of the plan's windows that have not ended, for keys with a limit on it: about how much of each the key has used. */
function sharesOf({ id, limits }: ClientKey, { windows }: UsageState, nowMs: number) {
  if (limits.shareOfWindowPercent === undefined) return [];
  return Object.entries(windows)
    .filter(([, { resetsAtMs }]) => resetsAtMs === undefined || resetsAtMs > nowMs)
    .map(([window, state]) => ({ window, percent: Math.round(shareOf(state, id, 0) * 10) / 10 }));
}

function stateText(key: ClientKey, nowMs: number): string {
  const state = stateOf(key, nowMs);
  if (state === "revoked") return `revoked ${moment(key.revokedAtMs ?? nowMs, nowMs)}`;
  if (key.expiresAtMs === undefined) return "usable";
  return `${state === "expired" ? "expired" : "until"} ${moment(key.expiresAtMs, nowMs)}`;
}

function asJson(key: ClientKey, usage: UsageState, nowMs: number) {
  const { lastUsedAtMs, tokens, requests } = useOf(key, usage, nowMs);
  const iso = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    name: key.name,
    state: stateOf(key, nowMs),
    created_at: iso(key.createdAtMs),
    expires_at: iso(key.expiresAtMs),
    revoked_at: iso(key.revokedAtMs),
    last_used_at: iso(lastUsedAtMs),
    today: { requests, tokens },
    shares_of_windows: Object.fromEntries(sharesOf(key, usage, nowMs).map(({ window, percent }) => [window, percent])),
    made_for: key.madeFor ?? null,
    limits: limitsAsJson(key.limits),
  };
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map((cells) =>
      cells
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
