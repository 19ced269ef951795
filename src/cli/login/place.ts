import { lstat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AuthFile } from "../../auth/sources/auth-file.ts";
import { readClaims } from "../../auth/jwt.ts";
import type { LoginService } from "../../auth/login-service.ts";
import type { Login } from "../../auth/sources/source.ts";
import { loadSettings, type FlagValues } from "../../config/load.ts";
import { authFile } from "../../config/paths.ts";
import type { Settings } from "../../config/settings.ts";
import type { Environment } from "../../lib/environment.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { SILENT_LOG } from "../../lib/log.ts";
import { openEgress } from "../../upstream/egress.ts";
import { LOGIN_NEEDS } from "../flags.ts";
import { warnOf } from "../output.ts";
import { openStore } from "../store.ts";
import { storedLogin } from "./stored-login.ts";

/** Where a login is kept and where it is made. */
export interface LoginPlace {
  readonly settings: Settings;
  readonly service: LoginService;
  readonly file: LoginFile;
  /** Of the auth file; undefined for a login that is kept elsewhere. */
  readonly path: string | undefined;
}

/** What holds the login: the auth file, or a store that replicas share. */
export type LoginFile = Pick<AuthFile, "name" | "load" | "proveReplaceable" | "replace" | "remove">;

/** From the settings; nothing is read or asked yet. */
export async function loginPlace(flags: FlagValues, env: Environment): Promise<LoginPlace> {
  const { settings, warnings } = await loadSettings(flags, env, { needs: LOGIN_NEEDS });
  warnOf(warnings);
  const egress = openEgress(settings.proxy, env);
  const store = await openStore(settings, env, SILENT_LOG);
  const path = store ? undefined : authFile(env, settings);
  return {
    settings,
    path,
    file: store ? storedLogin(store) : new AuthFile(authFile(env, settings), (ms) => Bun.sleep(ms)),
    service: {
      issuer: settings.issuer,
      clientId: settings.clientId,
      revokeUrl: settings.revokeUrl ?? `${settings.issuer}/oauth/revoke`,
      fetch: egress.fetch,
      proxyFor: (url) => egress.proxyFor(url),
    },
  };
}

/** What lies at the place of the login: nothing, a login, or something that is none and says why. */
export type Present =
  | { readonly kind: "nothing" }
  | { readonly kind: "login"; readonly login: Login; readonly who: string }
  | { readonly kind: "unusable"; readonly error: RelayError };

export async function lookAt({ file, path }: LoginPlace): Promise<Present> {
  if (path !== undefined && (await lstat(path).catch(() => undefined)) === undefined) return { kind: "nothing" };
  try {
    const login = await file.load();
    if (login) return { kind: "login", login, who: whoOf(login) };
    if (path === undefined) return { kind: "nothing" };
    return { kind: "unusable", error: new RelayError("codex_auth_required", `${file.name} leads nowhere.`) };
  } catch (thrown) {
    return { kind: "unusable", error: toRelayError(thrown) };
  }
}

/** As in `dev@example.com, plan pro`. */
export function whoOf(login: Login): string {
  if (login.kind === "api-key") return "an OpenAI API key";
  if (login.kind === "personal-token") return "a personal access token";
  const identity = readClaims(login.tokens.idToken);
  const access = readClaims(login.tokens.accessToken);
  const email = identity.email ?? access.email;
  const plan = identity.plan ?? access.plan;
  return [email, plan === undefined ? undefined : `plan ${plan}`].filter(Boolean).join(", ") || "a ChatGPT account";
}

/** True when the Codex CLI is told to keep its login elsewhere than in the file, and so will not see it there. */
export async function usesKeyring(path: string): Promise<boolean> {
  const config = await Bun.file(join(dirname(path), "config.toml"))
    .text()
    .catch(() => "");
  return /^[ \t]*cli_auth_credentials_store\s*=\s*["'](keyring|auto|ephemeral)["']/m.test(config);
}
