import { isObject, type JsonObject, parseJson } from "../../src/lib/json.ts";
import { asText } from "../../src/demo/json.ts";
import { CLIENT_ID, type StandInAccount } from "./account.ts";
import type { TokenSet } from "./auth-json.ts";
import type { Vault } from "./vault.ts";

/** A scripted reply of the token endpoint: a whole HTTP answer, or a good one that lacks fields. */
export type TokenScript =
  | { readonly kind: "http"; readonly status: number; readonly body: unknown; readonly delayMs?: number }
  | { readonly kind: "partial"; readonly fields: readonly (keyof TokenSet)[] };

function refreshFault(code: string, message: string, status = 401): TokenScript {
  return { kind: "http", status, body: { error: { message, type: "invalid_request_error", param: null, code } } };
}

/** Known ways in which a refresh goes wrong, or right with less than usual. */
export const TOKEN_FAULTS = {
  refresh_token_expired: refreshFault("refresh_token_expired", "Your refresh token has expired."),
  refresh_token_reused: refreshFault("refresh_token_reused", "Your refresh token has already been used."),
  refresh_token_invalidated: refreshFault("refresh_token_invalidated", "Your session has ended."),
  unknown_401: { kind: "http", status: 401, body: { detail: "Unauthorized" } },
  invalid_grant: { kind: "http", status: 400, body: { error: "invalid_grant", error_description: "Invalid grant." } },
  too_many: { kind: "http", status: 429, body: { error: { message: "Too many requests" } } },
  server_error: { kind: "http", status: 500, body: "Internal Server Error" },
  only_access_token: { kind: "partial", fields: ["access_token"] },
  without_id_token: { kind: "partial", fields: ["access_token", "refresh_token"] },
} as const satisfies Record<string, TokenScript>;

interface PendingCode {
  readonly redirectUri: string;
  readonly challenge: string;
}

interface DeviceLogin {
  readonly userCode: string;
  isApproved: boolean;
}

/** Plays auth.openai.com. */
export class AuthServer {
  readonly #vault: Vault;
  readonly #account: () => StandInAccount;
  readonly #scripts: TokenScript[] = [];
  readonly #codes = new Map<string, PendingCode>();
  readonly #devices = new Map<string, DeviceLogin>();
  /** How many refreshes were asked for, also those that failed. */
  refreshes = 0;

  constructor(vault: Vault, account: () => StandInAccount) {
    this.#vault = vault;
    this.#account = account;
  }

  script(steps: readonly TokenScript[]): void {
    this.#scripts.push(...steps);
  }

  /** Undefined for paths that are not its own. `text` is the decoded body. */
  async handle(method: string, url: URL, text: string, authorization: string | null): Promise<Response | undefined> {
    switch (`${method} ${url.pathname}`) {
      case "POST /oauth/token":
        return this.#token(fieldsOf(text));
      case "POST /oauth/revoke":
        this.#vault.setRefreshState(asText(fieldsOf(text)["token"]), "revoked");
        return Response.json({});
      case "GET /oauth/authorize":
        return this.#authorizePage(url);
      case "POST /oauth/authorize":
        return this.#authorize(url);
      case "POST /api/accounts/deviceauth/usercode":
        return this.#startDevice();
      case "POST /api/accounts/deviceauth/token":
        return this.#pollDevice(fieldsOf(text), url.origin);
      case "GET /codex/device":
        return page("Enter the code that your terminal shows.", DEVICE_FORM);
      case "POST /codex/device":
        return this.#approveDevice(asText(fieldsOf(text)["user_code"]));
      case "GET /api/accounts/v1/user-auth-credential/whoami":
        return this.#whoami(authorization);
      case "GET /deviceauth/callback":
        return page("You can close this page.", "");
      default:
        return undefined;
    }
  }

  async #token(fields: JsonObject): Promise<Response> {
    const grant = asText(fields["grant_type"]);
    if (grant === "refresh_token") return this.#refresh(fields);
    if (grant === "authorization_code") return this.#exchangeCode(fields);
    if (grant === "urn:ietf:params:oauth:grant-type:token-exchange") {
      return Response.json({ access_token: this.#vault.issueApiKey() });
    }
    return grantError("unsupported_grant_type", `Unsupported grant type '${grant}'.`);
  }

  async #refresh(fields: JsonObject): Promise<Response> {
    this.refreshes += 1;
    const script = this.#scripts.shift();
    if (script?.kind === "http") {
      if (script.delayMs) await Bun.sleep(script.delayMs);
      return typeof script.body === "string"
        ? new Response(script.body, { status: script.status })
        : Response.json(script.body, { status: script.status });
    }
    const spent = this.#vault.spend(asText(fields["refresh_token"]), asText(fields["client_id"]));
    if (spent === "invalid_client") return grantError("invalid_client", "Another client made this login.");
    if (typeof spent === "string") {
      const message = `Could not refresh the session: ${spent.replaceAll("_", " ")}.`;
      const error = { message, type: "invalid_request_error", param: null, code: spent };
      return Response.json({ error }, { status: 401 });
    }
    if (script?.kind === "partial") {
      return Response.json(Object.fromEntries(script.fields.map((field) => [field, spent[field]])));
    }
    return Response.json({ ...spent, token_type: "Bearer", expires_in: 864_000 });
  }

  #exchangeCode(fields: JsonObject): Response {
    const code = asText(fields["code"]);
    const pending = this.#codes.get(code);
    this.#codes.delete(code);
    if (!pending) return grantError("invalid_grant", "The code is unknown or was used before.");
    if (fields["client_id"] !== CLIENT_ID) return grantError("invalid_client", "Unknown client.");
    if (fields["redirect_uri"] !== pending.redirectUri) return grantError("invalid_grant", "redirect_uri differs.");
    if (challengeOf(asText(fields["code_verifier"])) !== pending.challenge) {
      return grantError("invalid_grant", "code_verifier does not fit.");
    }
    return Response.json({ ...this.#vault.issue(this.#account()), token_type: "Bearer", expires_in: 864_000 });
  }

  /** Whose a personal access token is (contract 0.10). */
  #whoami(authorization: string | null): Response {
    const token = /^Bearer (at-.+)$/.exec(authorization ?? "")?.[1];
    const bearer = this.#vault.bearer(token ?? "");
    if (typeof bearer === "string") return Response.json({ detail: "Unauthorized" }, { status: 401 });
    const { account } = bearer;
    return Response.json({
      email: account.email,
      chatgpt_user_id: account.userId,
      chatgpt_account_id: account.accountId,
      chatgpt_plan_type: account.plan,
      chatgpt_account_is_fedramp: account.isFedramp,
    });
  }

  #newCode(redirectUri: string, challenge: string): string {
    const code = `ac_${crypto.randomUUID()}`;
    this.#codes.set(code, { redirectUri, challenge });
    return code;
  }

  #authorizePage(url: URL): Response {
    const fault = authorizeFault(url.searchParams);
    if (fault !== undefined) return page(`This sign-in link is broken: ${fault}.`, "", 400);
    return page("Sign in to the stand-in. No account and no password are needed.", CONTINUE_FORM);
  }

  #authorize(url: URL): Response {
    const fault = authorizeFault(url.searchParams);
    if (fault !== undefined) return page(`This sign-in link is broken: ${fault}.`, "", 400);
    const redirectUri = url.searchParams.get("redirect_uri") ?? "";
    const back = new URL(redirectUri);
    back.searchParams.set("code", this.#newCode(redirectUri, url.searchParams.get("code_challenge") ?? ""));
    back.searchParams.set("state", url.searchParams.get("state") ?? "");
    return Response.redirect(back.href, 302);
  }

  #startDevice(): Response {
    const deviceId = `deviceauth_${crypto.randomUUID().slice(0, 12)}`;
    const userCode = `DEMO-${crypto.randomUUID().slice(0, 5).toUpperCase()}`;
    this.#devices.set(deviceId, { userCode, isApproved: false });
    const expiresAt = new Date(Date.now() + 15 * 60_000).toISOString();
    // The interval is a string of seconds: older clients fail on a number.
    return Response.json({ device_auth_id: deviceId, user_code: userCode, interval: "1", expires_at: expiresAt });
  }

  #approveDevice(userCode: string): Response {
    const login = [...this.#devices.values()].find((device) => device.userCode === userCode.trim().toUpperCase());
    if (!login) return page("Nobody is waiting for this code.", DEVICE_FORM, 404);
    login.isApproved = true;
    return page("Approved. You can go back to your terminal.", "");
  }

  /** `origin` is the name that the client knows this server by. */
  #pollDevice(fields: JsonObject, origin: string): Response {
    const deviceId = asText(fields["device_auth_id"]);
    const login = this.#devices.get(deviceId);
    if (!login || login.userCode !== fields["user_code"]) return Response.json({ error: "unknown" }, { status: 400 });
    if (!login.isApproved) return Response.json({ error: { code: "deviceauth_pending" } }, { status: 403 });
    this.#devices.delete(deviceId);
    // In this flow the verifier comes from the server.
    const verifier = `${crypto.randomUUID()}${crypto.randomUUID()}`;
    const challenge = challengeOf(verifier);
    const code = this.#newCode(`${origin}/deviceauth/callback`, challenge);
    return Response.json({ authorization_code: code, code_challenge: challenge, code_verifier: verifier });
  }
}

function fieldsOf(text: string): JsonObject {
  const parsed = parseJson(text);
  return isObject(parsed) ? parsed : Object.fromEntries(new URLSearchParams(text));
}

function challengeOf(verifier: string): string {
  return new Bun.CryptoHasher("sha256").update(verifier).digest("base64url");
}

function grantError(error: string, description: string): Response {
  return Response.json({ error, error_description: description }, { status: 400 });
}

/** The only places that the real server sends a browser back to. */
const CALLBACK = /^http:\/\/(localhost|127\.0\.0\.1):\d+\/auth\/callback$/;

function authorizeFault(parameters: URLSearchParams): string | undefined {
  if (parameters.get("response_type") !== "code") return "response_type must be code";
  if (parameters.get("client_id") !== CLIENT_ID) return "unknown client_id";
  if (!CALLBACK.test(parameters.get("redirect_uri") ?? "")) return "redirect_uri is not registered";
  if (parameters.get("code_challenge_method") !== "S256") return "code_challenge_method must be S256";
  if (!parameters.get("code_challenge")) return "code_challenge is missing";
  return parameters.get("state") ? undefined : "state is missing";
}

const CONTINUE_FORM = '<form method="post"><button autofocus>Continue</button></form>';
const DEVICE_FORM = '<form method="post"><input name="user_code" autofocus><button>Approve</button></form>';

function page(text: string, form: string, status = 200): Response {
  const html =
    '<!doctype html><meta charset="utf-8"><title>plansocket stand-in</title>' +
    '<body style="font:16px system-ui;max-width:32em;margin:4em auto">' +
    `<h1>plansocket stand-in</h1><p>This is a stand-in on your own machine, not OpenAI.</p><p>${text}</p>${form}`;
  return new Response(html, { status, headers: { "content-type": "text/html; charset=utf-8" } });
}
