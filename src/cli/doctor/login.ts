import { accessSync, constants, lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { LoginFacts } from "../../auth/keeper.ts";
import { toRelayError } from "../../lib/errors.ts";
import { moment, span } from "../time.ts";
import type { Wiring } from "../wire.ts";
import { fail, ok, warn, type Outcome } from "./finding.ts";

/** Renewal begins this long before the end; a token that is nearer to it than this has not been renewed. */
const OVERDUE_MS = 4 * 60_000;

/** Whose login it is, and where it lies. Throws what the login's own room says is wrong with it. */
export async function loginCheck(wiring: Wiring, authFile: string): Promise<Outcome> {
  if (leadsNowhere(authFile)) {
    return fail(`${authFile} is a link that leads nowhere.`, "Remove the link, or run `codex-relay login`.");
  }
  const facts = await wiring.credentials.describe();
  if (facts.kind === "api-key") return ok(`OpenAI API key (${facts.source})`);
  const who = [facts.email, facts.plan === undefined ? undefined : `plan ${facts.plan}`].filter(Boolean).join(", ");
  if (facts.accountId === undefined) {
    return warn(
      `${who || "A ChatGPT login"} (${facts.source}) does not say which account it is for.`,
      facts.source === "environment" ? "Set OPENAI_CHATGPT_ACCOUNT_ID." : "Run `codex-relay login` again.",
    );
  }
  return ok(`${who || "ChatGPT login"} (${facts.source})`);
}

function leadsNowhere(path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return false;
  return statSync(path, { throwIfNoEntry: false }) === undefined;
}

/** Who else may read the file, and whether a renewed login can be kept in it. */
export function storageCheck(facts: LoginFacts, authFile: string, stateDir: string): Outcome {
  if (facts.source === "environment") {
    return isWritable(stateDir)
      ? ok(`renewed tokens are kept in ${stateDir}`)
      : warn(
          `${stateDir} cannot be written: once OPENAI_REFRESH_TOKEN is spent, a restart needs a new one.`,
          "Make it writable, or choose another with --state-dir.",
        );
  }
  const file = realpathSync(authFile);
  const mode = statSync(file).mode & 0o777;
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    return warn(`${authFile} can be read by others (mode ${mode.toString(8)}).`, `Run \`chmod 600 ${authFile}\`.`);
  }
  if (!isWritable(dirname(file))) {
    return warn(
      `${dirname(file)} cannot be written: a renewed login is lost when the relay stops.`,
      "Make the folder writable for this user.",
    );
  }
  return ok(`private (mode ${mode.toString(8)}) and writable`);
}

/** The folder itself, or the nearest one above it that exists. */
function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    const parent = dirname(folder);
    return (error as { code?: string }).code === "ENOENT" && parent !== folder && isWritable(parent);
  }
}

/** How long the access token is good for. One that has ended is renewed now, as the next request would. */
export async function tokenCheck(wiring: Wiring, facts: LoginFacts): Promise<Outcome> {
  if (facts.kind === "api-key") return ok("an API key does not end");
  const nowMs = Date.now();
  const before = facts.expiresAtMs;
  if (before !== undefined && before - nowMs > OVERDUE_MS) return ok(tokenLine(facts, nowMs));
  try {
    await wiring.credentials.current();
  } catch (thrown) {
    const { message, hint } = toRelayError(thrown);
    const ended = before === undefined ? "" : `It ended ${span(nowMs - before)} ago. `;
    return fail(`${ended}${message}`, hint ?? "Run `codex-relay login`.");
  }
  const after = await wiring.credentials.describe();
  const isRenewed = after.expiresAtMs !== before;
  return ok(isRenewed ? `it had ended and was renewed: ${tokenLine(after, nowMs)}` : tokenLine(after, nowMs));
}

function tokenLine(facts: LoginFacts, nowMs: number): string {
  const age = facts.issuedAtMs === undefined ? "" : `${span(nowMs - facts.issuedAtMs)} old, `;
  if (facts.expiresAtMs === undefined) return `${age}does not say when it ends`;
  const renewal = facts.canRenew ? "" : ", and cannot be renewed";
  return `${age}good for ${span(facts.expiresAtMs - nowMs)} (until ${moment(facts.expiresAtMs, nowMs)})${renewal}`;
}
