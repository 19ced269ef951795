import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { LoginFacts } from "../../auth/keeper.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { isWritable } from "../../lib/writable.ts";
import { moment, span } from "../../lib/time.ts";
import type { Services } from "../services.ts";
import { fail, ok, warn, type Detail, type Outcome } from "./finding.ts";
import { errorCode } from "../../lib/thrown.ts";

/** The keeper renews this long before the end, whoever asks; until then a check spends nothing. */
const EARLY_MS = 5 * 60_000;
/** A clock that is off by more makes good tokens look ended. */
const ALARMING_MS = 5 * 60_000;

const isEnvironment = (facts: LoginFacts) => facts.source === "environment";

/** Whose login it is, and where it lies. Throws what the login's own room says is wrong with it. */
export async function loginCheck(services: Services, authFile: string): Promise<Outcome> {
  const facts = await services.credentials.describe().catch((thrown: unknown) => {
    throw pathFault(authFile) ?? thrown;
  });
  const place = isEnvironment(facts) && existsSync(authFile) ? `environment, before ${authFile}` : facts.source;
  const detail = loginDetail(facts);
  if (facts.kind === "api-key") return ok(`OpenAI API key (${place})`, detail);
  const who = [facts.email, facts.plan && `plan ${facts.plan}`].filter(Boolean).join(", ");
  if (facts.accountId === undefined) {
    return warn(
      `${who || "A ChatGPT login"} (${place}) does not say which account it is for.`,
      isEnvironment(facts) ? "Set OPENAI_CHATGPT_ACCOUNT_ID." : "Run `plansocket login` again.",
      detail,
    );
  }
  return ok(`${who || "ChatGPT login"} (${place})`, detail);
}

function loginDetail({ kind, source, email, plan, accountId }: LoginFacts): Detail {
  return {
    mode: kind,
    source: source === "environment" ? source : source.startsWith("the store") ? "store" : "file",
    ...(kind === "chatgpt" ? { email: email ?? null, plan: plan ?? null, account_id: accountId ?? null } : {}),
  };
}

/** Faults of the way to the file, which look like no file or a closed one when it is opened. */
function pathFault(authFile: string): RelayError | undefined {
  const fault = (message: string, hint: string) => new RelayError("codex_auth_required", message, { hint });
  try {
    const isLink = lstatSync(authFile, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    if (!isLink || statSync(authFile, { throwIfNoEntry: false })) return undefined;
    return fault(`${authFile} is a link that leads nowhere.`, "Remove the link, or run `plansocket login`.");
  } catch (error) {
    const code = errorCode(error);
    if (code === "ELOOP") return fault(`${authFile} is a link to itself.`, "Remove it and run `plansocket login`.");
    if (code !== "EACCES" && code !== "EPERM") return undefined;
    const folder = dirname(authFile);
    return fault(`${folder} may not be entered by this user.`, `Run \`chmod 700 ${folder}\` as its owner.`);
  }
}

/** Who else may read the file, and whether a renewed login can be kept. */
export async function storageCheck(
  facts: LoginFacts,
  services: Services,
  authFile: string,
  stateDir: string,
): Promise<Outcome> {
  const fault = await services.credentials.savingFault();
  if (fault) return fail(fault.message, fault.hint ?? "");
  if (services.store) return ok("kept in the store, encrypted");
  if (isEnvironment(facts)) {
    return facts.canRenew
      ? keptIn(placeToKeep(services, authFile) ?? stateDir)
      : ok("nothing to keep: the environment brings no refresh token");
  }
  const file = realpathSync(authFile);
  const mode = statSync(file).mode & 0o777;
  const faults: [summary: string, fix: string][] = [];
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    faults.push([`${authFile} can be read by others (mode ${mode.toString(8)}).`, `Run \`chmod 600 ${authFile}\`.`]);
  }
  const isKept = facts.kind === "chatgpt" && !facts.isPersonalToken;
  const outcome = "a renewed login is written over the old one, which a power cut may spoil.";
  if (isKept && !isWritable(dirname(file))) {
    faults.push([`${dirname(file)} cannot be written: ${outcome}`, `Run \`chmod u+w ${dirname(file)}\` as its owner.`]);
  } else if (isKept && isMountPoint(file)) {
    faults.push([
      `${authFile} is mounted by itself and cannot be replaced: ${outcome}`,
      `Mount the folder ${dirname(file)} instead of the file.`,
    ]);
  }
  const octal = mode.toString(8);
  if (faults.length === 0) return ok(`private (mode ${octal}) and writable`, { file, mode: octal });
  return warn(faults.map(([summary]) => summary).join(" "), faults.map(([, fix]) => fix).join(" "), {
    file,
    mode: octal,
  });
}

function keptIn(folder: string): Outcome {
  return ok(`renewed tokens are kept in ${folder}`, { folder });
}

/** The folder of an auth file that was named, unless that holds a login of somebody else's. */
function placeToKeep({ settings }: Services, authFile: string): string | undefined {
  if (settings.authFile === undefined) return undefined;
  return !existsSync(authFile) || holds(authFile, '"plansocket_origin"') ? dirname(authFile) : undefined;
}

function holds(file: string, words: string): boolean {
  try {
    return readFileSync(file, "utf8").includes(words);
  } catch {
    return false;
  }
}

/** A single file that a container brings in: renaming another one over it fails with EBUSY. */
function isMountPoint(file: string): boolean {
  if (process.platform !== "linux") return false;
  // The kernel writes a blank in a path as its octal number.
  return holds("/proc/self/mountinfo", ` ${file.replaceAll(" ", "\\040")} `);
}

/** What the clock of a host on the way says: positive when ours is ahead. */
export interface ClockOff {
  readonly offMs: number;
  readonly host: string;
}

/**
 * How long the access token is good for. One that has ended, or is about to, is renewed now by the keeper, as the next
 * request would; not when only a wrong clock makes it look so.
 */
export async function tokenCheck(services: Services, facts: LoginFacts, clock: ClockOff | undefined): Promise<Outcome> {
  if (facts.kind === "api-key") return ok("an API key does not end");
  if (facts.isPersonalToken) return ok("a personal access token lasts until it is revoked");
  const nowMs = Date.now();
  const { expiresAtMs } = facts;
  // One that does not say when it ends, or is not there at all, is the keeper's to judge.
  if (expiresAtMs === undefined) return renewed(services, facts, nowMs);
  if (expiresAtMs - nowMs > EARLY_MS) return unspent(facts, nowMs);
  if (clock && clock.offMs > ALARMING_MS && expiresAtMs - (nowMs - clock.offMs) > EARLY_MS) {
    return fail(
      `The token has ended by this machine's clock, but not by that of ${clock.host}; it was not renewed.`,
      "Set this machine's clock first.",
      tokenDetail(facts),
    );
  }
  return renewed(services, facts, nowMs);
}

function unspent(facts: LoginFacts, nowMs: number): Outcome {
  const line = tokenLine(facts, nowMs);
  if (facts.canRenew || isEnvironment(facts)) return ok(line, tokenDetail(facts));
  return warn(line, "Run `plansocket login` before it ends.", tokenDetail(facts));
}

async function renewed(services: Services, before: LoginFacts, nowMs: number): Promise<Outcome> {
  const endedAgoMs = nowMs - (before.expiresAtMs ?? nowMs);
  try {
    await services.credentials.current();
  } catch (thrown) {
    const { message, hint } = toRelayError(thrown);
    const ended = endedAgoMs > 0 ? `It ended ${span(endedAgoMs)} ago. ` : "";
    return fail(`${ended}${message}`, hint ?? "Run `plansocket login`.", tokenDetail(before));
  }
  const after = await services.credentials.describe();
  const line = tokenLine(after, nowMs);
  if (after.renewedAtMs !== before.renewedAtMs || after.expiresAtMs !== before.expiresAtMs) {
    const why = endedAgoMs > 0 ? "it had ended and" : "it";
    return ok(`${why} was renewed: ${line}`, tokenDetail(after));
  }
  if (before.expiresAtMs === undefined) return unspent(after, nowMs);
  // The keeper goes on with a token that still works; its owner should know before it does not.
  return after.canRenew
    ? warn(`${line}, but could not be renewed just now`, "Try again in a moment.", tokenDetail(after))
    : warn(line, "Run `plansocket login` before it ends.", tokenDetail(after));
}

function tokenLine(facts: LoginFacts, nowMs: number): string {
  const age = facts.issuedAtMs === undefined ? "" : `${span(nowMs - facts.issuedAtMs)} old, `;
  const renewal = facts.canRenew ? "" : ", and cannot be renewed";
  if (facts.expiresAtMs === undefined) return `${age}does not say when it ends${renewal}`;
  return `${age}good for ${span(facts.expiresAtMs - nowMs)} (until ${moment(facts.expiresAtMs, nowMs)})${renewal}`;
}

function tokenDetail({ issuedAtMs, renewedAtMs, expiresAtMs, canRenew }: LoginFacts): Detail {
  const iso = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    issued_at: iso(issuedAtMs),
    renewed_at: iso(renewedAtMs),
    expires_at: iso(expiresAtMs),
    can_renew: canRenew,
  };
}
