import type { Log } from "../lib/log.ts";
import { AuthFile } from "./auth-file.ts";
import { EnvironmentTokens } from "./environment.ts";
import { CredentialKeeper } from "./keeper.ts";
import type { AuthFetch } from "./oauth.ts";

export interface OpenCredentialsOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** auth.json of the Codex CLI. */
  readonly authFile: string;
  /** Where rotated environment tokens are kept. */
  readonly stateDir: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  /** Goes out the same way as traffic does. */
  readonly fetch: AuthFetch;
  readonly log: Log;
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** The owner's login, from the first place that has one. A new place is one line here. */
export function openCredentials(options: OpenCredentialsOptions): CredentialKeeper {
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  return new CredentialKeeper({
    sources: [new EnvironmentTokens(options.env, options.stateDir, options.log), new AuthFile(options.authFile, sleep)],
    tokenUrl: options.tokenUrl,
    clientId: options.clientId,
    fetch: options.fetch,
    log: options.log,
    now: options.now ?? Date.now,
    sleep,
  });
}
