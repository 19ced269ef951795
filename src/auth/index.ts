import type { Log } from "../lib/log.ts";
import { AuthFile } from "./sources/auth-file.ts";
import { PersonalTokenOwners } from "./personal-token.ts";
import { EnvironmentTokens } from "./sources/environment.ts";
import { CredentialKeeper } from "./keeper.ts";
import type { CredentialSource } from "./sources/source.ts";
import type { AuthFetch } from "./login-service.ts";

export interface OpenCredentialsOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** auth.json of the Codex CLI. */
  readonly authFile: string;
  /** Its owner named it: then rotated environment tokens are kept there, unless it holds another login. */
  readonly isAuthFileNamed?: boolean;
  /** Where rotated environment tokens are kept otherwise. */
  readonly stateDir: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  /** Origin of the service that knows personal access tokens; that of `tokenUrl` when not given. */
  readonly authApiUrl?: string;
  /** Goes out the same way as traffic does. */
  readonly fetch: AuthFetch;
  /** The proxy that a URL would use, without its credentials; only for messages. */
  readonly proxyFor?: (url: string) => string | undefined;
  readonly log: Log;
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
  /** Makes the one source of replicas that share a login; the environment's tokens are the first login that it gets. */
  readonly share?: ((first: EnvironmentTokens) => CredentialSource) | undefined;
  /** Called when a refresh token is about to be spent, with the promise that settles once the result is handled. */
  readonly onSpending?: (spending: Promise<unknown>) => void;
}

/** The owner's login, from the first place that has one. A new place is one line here. */
export function openCredentials(options: OpenCredentialsOptions): CredentialKeeper {
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  const keeping = { file: options.isAuthFileNamed ? options.authFile : undefined, folder: options.stateDir };
  const environment = new EnvironmentTokens(options.env, keeping);
  return new CredentialKeeper({
    sources: options.share ? [options.share(environment)] : [environment, new AuthFile(options.authFile, sleep)],
    personalTokens: new PersonalTokenOwners({
      authApiUrl: options.authApiUrl ?? new URL(options.tokenUrl).origin,
      fetch: options.fetch,
      proxyFor: options.proxyFor ?? (() => undefined),
      now: options.now ?? Date.now,
    }),
    tokenUrl: options.tokenUrl,
    clientId: options.clientId,
    fetch: options.fetch,
    proxyFor: options.proxyFor ?? (() => undefined),
    log: options.log,
    now: options.now ?? Date.now,
    sleep,
    onSpending: options.onSpending ?? (() => {}),
  });
}
