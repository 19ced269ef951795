import { RelayError } from "../lib/errors.ts";
import { isObject, nonEmptyString, parseJson } from "../lib/json.ts";
import { unreachable } from "../lib/unreachable.ts";
import type { Credentials } from "./credentials.ts";
import { networkRefusal, type AuthFetch } from "./login-service.ts";

const TIMEOUT_MS = 10_000;
/** A refused token is asked about at most this often. */
const REFUSED_MS = 60_000;

export interface PersonalTokenOptions {
  /** Origin of the service that knows personal access tokens, without a slash at the end. */
  readonly authApiUrl: string;
  readonly fetch: AuthFetch;
  readonly proxyFor: (url: string) => string | undefined;
  readonly now: () => number;
}

/** What the service says of a token's owner. */
type Owner = Pick<Credentials, "accountId" | "email" | "plan" | "isFedramp">;

/** True for personal access tokens, which are never renewed and say nothing about their owner. */
export function isPersonalToken(token: string | undefined): token is string {
  return token?.startsWith("at-") === true;
}

/** The account behind a personal access token, asked once per token (contract 0.10). */
export class PersonalTokenOwners {
  readonly #options: PersonalTokenOptions;
  #known: { readonly token: string; readonly owner: Owner } | undefined;
  #refused: { readonly token: string; readonly error: RelayError; readonly atMs: number } | undefined;
  #asking: { readonly token: string; readonly reply: Promise<Owner> } | undefined;

  constructor(options: PersonalTokenOptions) {
    this.#options = options;
  }

  /** Throws `codex_auth_required` for a token that is not valid, with `remedy` as its hint. */
  async ownerOf(token: string, remedy: string): Promise<Owner> {
    if (this.#known?.token === token) return this.#known.owner;
    const refused = this.#refused;
    if (refused?.token === token && Math.abs(this.#options.now() - refused.atMs) < REFUSED_MS) throw refused.error;
    if (this.#asking?.token !== token) {
      const reply = this.#ask(token, remedy).finally(() => (this.#asking = undefined));
      this.#asking = { token, reply };
    }
    return this.#asking.reply;
  }

  async #ask(token: string, remedy: string): Promise<Owner> {
    const { authApiUrl, fetch, proxyFor, now } = this.#options;
    const url = `${authApiUrl}/api/accounts/v1/user-auth-credential/whoami`;
    let reply: { readonly status: number; readonly text: string };
    try {
      const headers = { authorization: `Bearer ${token}`, accept: "*/*" };
      const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
      reply = { status: response.status, text: await response.text() };
    } catch (error) {
      throw unreachable(error, new URL(url).host, proxyFor(url));
    }
    const network = networkRefusal(reply.status, reply.text);
    if (network !== undefined) throw new RelayError("upstream_unreachable", network, { retryAfterMs: 5000 });
    if (reply.status === 401 || reply.status === 403) {
      const error = invalidPersonalToken(remedy);
      this.#refused = { token, error, atMs: now() };
      throw error;
    }
    const body = parseJson(reply.text);
    if (reply.status !== 200 || !isObject(body)) {
      const text = `The login service answered ${reply.status} when asked whose access token this is.`;
      throw new RelayError("upstream_unreachable", text, { hint: "Try again in a moment.", retryAfterMs: 5000 });
    }
    const owner = {
      accountId: nonEmptyString(body["chatgpt_account_id"]),
      email: nonEmptyString(body["email"]),
      plan: nonEmptyString(body["chatgpt_plan_type"]),
      isFedramp: body["chatgpt_account_is_fedramp"] === true,
    };
    this.#known = { token, owner };
    return owner;
  }
}

/** The refusal of a personal access token, by the login service or the backend. */
export function invalidPersonalToken(remedy: string): RelayError {
  return new RelayError("codex_auth_required", "The personal access token is not valid (any more).", { hint: remedy });
}
