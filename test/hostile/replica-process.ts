/**
 * One replica's credentials in a process of its own: `bun replica-process.ts <settings as JSON>`. Reads a command a
 * line and answers with a line: `renew TOKEN` (which the backend has rejected) and `token`.
 */
import { openCredentials } from "../../src/auth/index.ts";
import { SharedLogin } from "../../src/auth/sources/shared-login.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { storeAddress } from "../../src/store/address.ts";
import { StoreConnection } from "../../src/store/connection.ts";
import { Sealer } from "../../src/store/sealing.ts";

export interface ReplicaSettings {
  readonly url: string;
  readonly tokenUrl: string;
  readonly stateDir: string;
  readonly lockMs: number;
  readonly settleMs: number;
  readonly spendingMs: number;
  readonly env: Readonly<Record<string, string>>;
}

const { url, tokenUrl, stateDir, env, ...timing } = JSON.parse(process.argv[2] ?? "") as ReplicaSettings;
const store = new StoreConnection({ address: storeAddress(url), prefix: "chaos", log: SILENT_LOG });
const sealer = new Sealer("5".repeat(64));
const keeper = openCredentials({
  env,
  authFile: `${stateDir}/auth.json`,
  stateDir,
  tokenUrl,
  clientId: "app",
  fetch,
  log: SILENT_LOG,
  share: (first) => new SharedLogin({ store, sealer, first, timing }),
});

async function answer(line: string): Promise<string> {
  const [command, rejected] = line.split(" ");
  const held = await keeper.current();
  if (command !== "renew" || held.accessToken !== rejected) return held.accessToken;
  return (await keeper.recover(held, 2)).accessToken;
}

for await (const line of console) {
  // One after the other would let a renewal that waits hold up what is only looked at.
  void answer(line).then(
    (token) => console.log(`ok ${token}`),
    (error: unknown) => console.log(`failed ${(error as { code?: string }).code}`),
  );
}
