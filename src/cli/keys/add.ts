import type { KeyPlace } from "../../keys/key-list.ts";
import { limitsAsJson } from "../../keys/key-list.ts";
import { keyDigest, newKeyText, type KeyLimits } from "../../keys/key.ts";
import { RelayError } from "../../lib/errors.ts";
import { moment } from "../../lib/time.ts";
import type { OwnFlag, ParsedFlags } from "../flags.ts";
import { print, printJson, say } from "../output.ts";
import { limitsText } from "./limits-text.ts";

export const LIMIT_FLAGS: Readonly<Record<string, OwnFlag>> = {
  models: { value: "A,B", help: "with add: only these models; others are a 403, and lists show no others" },
  "tokens-per-day": {
    value: "N",
    help: "with add: input and output tokens, cached ones too, until the relay's local midnight; then 429",
  },
  "share-of-window": {
    value: "PERCENT",
    help: "with add: this much of each window of the plan, then 429 until it resets. An estimate: what a window grows by goes to the keys that were used meanwhile, by their tokens (cached ones count a tenth)",
  },
  "requests-at-once": { value: "N", help: "with add: requests in flight; more get 429" },
  expires: { value: "TIME", help: "with add: after this long, as in 12h, 30d or 8w, or on a day, as in 2027-01-31" },
};

/** Makes a key and shows it: on stdout alone, once. */
export async function addKey(file: KeyPlace, name: string, own: ParsedFlags["own"]): Promise<number> {
  const text = newKeyText();
  const limits = limitsIn(own);
  const expiresAtMs = expiryOf(own["expires"], Date.now());
  const isFirst = (file.read()?.keys ?? []).length === 0;
  const key = await file.add({ name, digest: keyDigest(text), expiresAtMs, limits, madeFor: undefined });
  if (own["json"] === true) {
    printJson({
      name,
      key: text,
      created_at: new Date(key.createdAtMs).toISOString(),
      expires_at: expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString(),
      limits: limitsAsJson(limits),
    });
  } else print(text);
  const until = expiresAtMs === undefined ? "" : `, until ${moment(expiresAtMs, Date.now())}`;
  say(`This is the key '${name}' (${limitsText(limits)}${until}). It is shown only now: ${file.path} keeps its hash.`);
  if (isFirst) say("From now on the relay asks every client for a key, also those that needed none so far.");
  return 0;
}

function limitsIn(own: ParsedFlags["own"]): KeyLimits {
  const models = listOf(own["models"]);
  const tokensPerDay = numberOf(own, "tokens-per-day", { isWhole: true });
  const shareOfWindowPercent = numberOf(own, "share-of-window", { most: 100 });
  const requestsAtOnce = numberOf(own, "requests-at-once", { isWhole: true });
  return {
    ...(models ? { models } : {}),
    ...(tokensPerDay === undefined ? {} : { tokensPerDay }),
    ...(shareOfWindowPercent === undefined ? {} : { shareOfWindowPercent }),
    ...(requestsAtOnce === undefined ? {} : { requestsAtOnce }),
  };
}

function listOf(text: string | true | undefined): string[] | undefined {
  if (typeof text !== "string") return undefined;
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "")) return [...new Set(names)];
  throw badValue("models", text, "It is a list of models, as in gpt-6-sol,gpt-5.5; `plansocket models` shows them.");
}

function numberOf(
  own: ParsedFlags["own"],
  flag: string,
  { most = Number.MAX_SAFE_INTEGER, isWhole = false }: { most?: number; isWhole?: boolean },
): number | undefined {
  const text = own[flag];
  if (typeof text !== "string") return undefined;
  const value = Number(text.trim() === "" ? "none" : text.replace(/%$/, ""));
  if (value > 0 && value <= most && (!isWhole || Number.isInteger(value))) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? "above 0" : `above 0 and at most ${most}`;
  throw badValue(flag, text, `It is a ${isWhole ? "whole " : ""}number ${range}.`);
}

const HOUR_MS = 3_600_000;
const UNITS: Readonly<Record<string, number>> = { h: HOUR_MS, d: 24 * HOUR_MS, w: 7 * 24 * HOUR_MS };
/** Ten years: whoever means longer means a key that does not expire. */
const LONGEST_MS = 3660 * 24 * HOUR_MS;

/** The moment that `--expires` means; a day ends at its local midnight. Throws `usage`. */
export function expiryOf(text: string | true | undefined, nowMs: number): number | undefined {
  if (typeof text !== "string") return undefined;
  const [, amount, unit = ""] = /^(\d{1,6})([hdw])$/.exec(text.trim()) ?? [];
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text.trim()) ?? [];
  const atMs =
    amount === undefined
      ? endOfDay(Number(year), Number(month), Number(day))
      : nowMs + Number(amount) * (UNITS[unit] ?? Number.NaN);
  if (atMs > nowMs && atMs <= nowMs + LONGEST_MS) return atMs;
  throw badValue("expires", text, "It is a time from now, as in 12h, 30d or 8w, or a day to come, as in 2027-01-31.");
}

function endOfDay(year: number, month: number, day: number): number {
  const date = new Date(year, month - 1, day);
  // 31 February is the 3rd of March to JavaScript.
  if (date.getMonth() !== month - 1) return Number.NaN;
  return new Date(year, month - 1, day + 1).getTime();
}

function badValue(flag: string, text: string, hint: string): RelayError {
  return new RelayError("usage", `Bad value '${text.slice(0, 40)}' for --${flag}.`, { hint });
}
