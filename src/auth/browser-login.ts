import { RelayError } from "../lib/errors.ts";
import { exchangeCode, type IssuedTokens } from "./code-exchange.ts";
import type { LoginService } from "./login-service.ts";
import { newPkce, randomText, type Pkce } from "./pkce.ts";

/** The ports that the login service sends a browser back to, and no others. */
export const CALLBACK_PORTS = [1455, 1457] as const;
export const CALLBACK_PATH = "/auth/callback";

const SCOPE = "openid profile email offline_access api.connectors.read api.connectors.invoke";

/** What a browser brought back, or somebody pasted. */
export type Callback =
  | { readonly kind: "code"; readonly code: string }
  /** The state is that of another sign-in, or of none: not for us. */
  | { readonly kind: "foreign" }
  | { readonly kind: "refused"; readonly error: RelayError }
  | { readonly kind: "empty" };

/** One sign-in with a browser: the authorization code flow with PKCE. */
export class BrowserLogin {
  /** Where the owner has to go. */
  readonly url: string;
  readonly #service: LoginService;
  readonly #redirectUri: string;
  readonly #pkce: Pkce = newPkce();
  readonly #state = randomText(32);

  /** `port` is the one that waits for the browser on this machine. */
  constructor(service: LoginService, port: number) {
    this.#service = service;
    this.#redirectUri = `http://127.0.0.1:${port}${CALLBACK_PATH}`;
    this.url = this.#authorizeUrl();
  }

  /** Parameters and their order are the Codex CLI's. */
  #authorizeUrl(): string {
    const query = new URLSearchParams({
      response_type: "code",
      client_id: this.#service.clientId,
      redirect_uri: this.#redirectUri,
      code_challenge: this.#pkce.challenge,
      code_challenge_method: "S256",
      state: this.#state,
      scope: SCOPE,
      id_token_add_organizations: "true",
      codex_cli_simplified_flow: "true",
      originator: "codex_cli_rs",
    });
    return `${this.#service.issuer}/oauth/authorize?${query.toString()}`;
  }

  /** Reads the query of the callback. The state comes first: nothing else of a foreign URL is looked at. */
  read(query: URLSearchParams): Callback {
    if (query.get("state") !== this.#state) return { kind: "foreign" };
    const error = query.get("error");
    if (error !== null) return { kind: "refused", error: refusedByOwner(error, query.get("error_description") ?? "") };
    const code = query.get("code");
    return code ? { kind: "code", code } : { kind: "empty" };
  }

  /** Redeems the code. Throws RelayError. */
  redeem(code: string): Promise<IssuedTokens> {
    return exchangeCode(this.#service, {
      code,
      redirectUri: this.#redirectUri,
      verifier: this.#pkce.verifier,
    });
  }
}

/** The address bar's text, or only its query, as somebody pastes it. Undefined when it is neither. */
export function pastedQuery(text: string): URLSearchParams | undefined {
  const trimmed = text.trim().replace(/^["'<]|[>"']$/g, "");
  const query = /^https?:\/\//.test(trimmed) ? trimmed.split("#")[0]?.split("?")[1] : trimmed.replace(/^\?/, "");
  if (query === undefined || !/(^|&)(code|error)=/.test(query)) return undefined;
  return new URLSearchParams(query);
}

function refusedByOwner(error: string, description: string): RelayError {
  if (error === "access_denied" && description.includes("missing_codex_entitlement")) {
    return new RelayError("login_failed", "Codex is not enabled for this workspace.", {
      hint: "Ask the workspace's administrator to enable Codex, or sign in with another account.",
    });
  }
  const reason = plain(description) || plain(error);
  if (/redirect_uri/i.test(`${error} ${description}`)) {
    return new RelayError("login_failed", `The sign-in was refused: ${reason}.`, {
      hint: "The browser is sent back to http://127.0.0.1, as by the Codex CLI; a service that takes only http://localhost needs `plansocket login --device`.",
    });
  }
  return new RelayError("login_failed", `The sign-in was refused: ${reason}.`, {
    hint: "Run `plansocket login` again; nothing was changed.",
  });
}

/** A stranger's text for the terminal: one line, no control characters, bounded. */
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is meant
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
  return line.slice(0, 200).replace(/(?<![.\s])[.\s]+$/, "");
}
