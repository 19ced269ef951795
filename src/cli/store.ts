import type { EnvironmentTokens } from "../auth/sources/environment.ts";
import type { SharedLogin } from "../auth/sources/shared-login.ts";
import type { ResponseStore } from "../codex/response-store.ts";
import type { SettingName, Settings } from "../config/settings.ts";
import type { KeyBudgets } from "../keys/budgets.ts";
import type { StoredKeys } from "../keys/stored-keys.ts";
import type { StoredUsage } from "../keys/stored-usage.ts";
import type { Counts } from "../ledger/ledger.ts";
import type { Environment } from "../lib/environment.ts";
import { RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { SharedResponses } from "../server/shared-responses.ts";
import type { SharedLearned } from "../upstream/shared-learned.ts";
import type { StoreConnection } from "../store/connection.ts";

/** What replicas share, and the way to it. */
export interface SharedStore {
  readonly connection: StoreConnection;
  /** Their one login; the environment's tokens are the first that it gets. */
  readonly login: (first?: EnvironmentTokens) => SharedLogin;
  readonly responses: (local: ResponseStore) => SharedResponses;
  readonly keys: () => StoredKeys;
  readonly usage: () => StoredUsage;
  readonly budgets: () => KeyBudgets;
  readonly ledger: (days: number) => Counts;
  readonly learned: () => SharedLearned;
}

type StoreSettings = Pick<Settings, "store" | "storeKey" | "storePrefix" | "storeBudgets">;

/** The settings that lead to it. */
export const STORE_SETTINGS = ["store", "storeKey", "storePrefix"] as const satisfies readonly SettingName[];

/**
 * The store of these settings, not yet connected; undefined without one. Its code is loaded only then. Throws `usage` for
 * a URL or a key that is none.
 */
export async function openStore(
  { store, storeKey, storePrefix: prefix, storeBudgets: whenAway }: StoreSettings,
  env: Environment,
  log: Log,
): Promise<SharedStore | undefined> {
  if (store === undefined) return undefined;
  if (storeKey === undefined) {
    throw new RelayError("usage", "--store needs the key that encrypts what it holds.", {
      hint: "Set PLANSOCKET_STORE_KEY, the same for all replicas; `openssl rand -base64 32` makes one.",
    });
  }
  const [
    { storeAddress },
    { StoreConnection },
    { Sealer },
    auth,
    server,
    keys,
    usage,
    shared,
    local,
    ledger,
    upstream,
  ] = await Promise.all([
    import("../store/address.ts"),
    import("../store/connection.ts"),
    import("../store/sealing.ts"),
    import("../auth/sources/shared-login.ts"),
    import("../server/shared-responses.ts"),
    import("../keys/stored-keys.ts"),
    import("../keys/stored-usage.ts"),
    import("../keys/shared-budgets.ts"),
    import("../keys/local-budgets.ts"),
    import("../ledger/shared-ledger.ts"),
    import("../upstream/shared-learned.ts"),
  ]);
  const address = storeAddress(store);
  const sealer = new Sealer(storeKey);
  const authorities = address.isTls ? await authoritiesOf(env) : [];
  const connection = new StoreConnection({ address, prefix, authorities, log });
  const sharing = { store: connection, sealer };
  return {
    connection,
    login: (first) => new auth.SharedLogin({ ...sharing, first }),
    responses: (own) => new server.SharedResponses({ ...sharing, local: own, log, now: Date.now }),
    keys: () => new keys.StoredKeys(connection, sealer),
    usage: () => new usage.StoredUsage(connection),
    ledger: (days) => new ledger.SharedLedger({ store: connection, days, log }),
    learned: () => new upstream.SharedLearned({ ...sharing, now: Date.now }),
    budgets: () => {
      const own = new local.LocalBudgets({ file: new usage.StoredUsage(connection), log });
      return new shared.SharedBudgets({ store: connection, local: own, whenAway, log });
    },
  };
}

/** What TLS to the store trusts, as traffic does: the usual authorities, and those that the environment names. */
async function authoritiesOf(env: Environment): Promise<readonly string[]> {
  const { Authorities } = await import("../upstream/authorities.ts");
  const authorities = new Authorities(env);
  authorities.widen();
  return authorities.trusted ?? [];
}
