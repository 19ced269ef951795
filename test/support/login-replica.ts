import { join } from "node:path";
import { openCredentials } from "../../src/auth/index.ts";
import type { CredentialKeeper } from "../../src/auth/keeper.ts";
import { SharedLogin, type SharedLoginTiming } from "../../src/auth/sources/shared-login.ts";
import type { Log } from "../../src/lib/log.ts";
import { storeAddress } from "../../src/store/address.ts";
import { StoreConnection, type StoreClient } from "../../src/store/connection.ts";
import { Sealer } from "../../src/store/sealing.ts";

/** What a replica's login is made of, without the rest of a relay. */
export interface LoginReplica {
  readonly keeper: CredentialKeeper;
  readonly connection: StoreConnection;
  readonly login: SharedLogin;
}

export interface LoginReplicaOptions {
  /** Of the store, on the loopback. */
  readonly port: number;
  readonly tokenUrl: string;
  readonly home: string;
  readonly key: string;
  readonly timing: SharedLoginTiming;
  readonly log: Log;
  readonly env?: Record<string, string>;
  readonly now?: () => number;
  readonly connect?: ((url: string, options: Bun.RedisOptions) => StoreClient) | undefined;
}

/** Its store has the prefix `test`. The connection is the caller's to close. */
export function loginReplica(options: LoginReplicaOptions): LoginReplica {
  const { port, tokenUrl, home, key, timing, log, env = {}, now = Date.now, connect } = options;
  const address = storeAddress(`redis://127.0.0.1:${port}`);
  const connection = new StoreConnection({ address, prefix: "test", log, ...(connect ? { connect } : {}) });
  let login: SharedLogin | undefined;
  const keeper = openCredentials({
    env,
    authFile: join(home, "auth.json"),
    stateDir: join(home, "state"),
    tokenUrl,
    clientId: "app",
    fetch,
    log,
    now,
    share: (first) => (login = new SharedLogin({ store: connection, sealer: new Sealer(key), first, timing })),
  });
  if (!login) throw new Error("not shared");
  return { keeper, connection, login };
}
