import { limitsAsJson, type KeyFile } from "../../keys/key-file.ts";
import { stateOf, type ClientKey } from "../../keys/key.ts";
import { moment } from "../../lib/time.ts";
import { print, printJson, say } from "../output.ts";
import { limitsText } from "./limits-text.ts";

/** Every key with what it may do; never the key itself. */
export function listKeys(file: KeyFile, isJson: boolean): number {
  const nowMs = Date.now();
  const keys = file.read()?.keys ?? [];
  if (isJson) {
    printJson(keys.map((key) => asJson(key, nowMs)));
    return 0;
  }
  if (keys.length === 0) {
    say("There are no keys: the relay asks for one only where --api-key is set. `plansocket keys add NAME` makes one.");
    return 0;
  }
  print(table([["NAME", "STATE", "CREATED", "LIMITS"], ...keys.map((key) => row(key, nowMs))]));
  return 0;
}

function row(key: ClientKey, nowMs: number): string[] {
  return [key.name, stateText(key, nowMs), moment(key.createdAtMs, nowMs), limitsText(key.limits)];
}

function stateText(key: ClientKey, nowMs: number): string {
  const state = stateOf(key, nowMs);
  if (state === "revoked") return `revoked ${moment(key.revokedAtMs ?? nowMs, nowMs)}`;
  if (key.expiresAtMs === undefined) return "usable";
  return `${state === "expired" ? "expired" : "until"} ${moment(key.expiresAtMs, nowMs)}`;
}

function asJson(key: ClientKey, nowMs: number) {
  const iso = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    name: key.name,
    state: stateOf(key, nowMs),
    created_at: iso(key.createdAtMs),
    expires_at: iso(key.expiresAtMs),
    revoked_at: iso(key.revokedAtMs),
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
