/**
 * A relay's credentials in a process of their own: `bun keeper-process.ts AUTH_FILE TOKEN_URL`. Each line of its input
 * is answered by a line: `current`, `renew` (as after two refusals), `settle`, or `loop`, which renews until it is ended.
 */
import { openCredentials } from "../../src/auth/index.ts";
import { RelayError } from "../../src/lib/errors.ts";

const [authFile = "", tokenUrl = ""] = process.argv.slice(2);
const warnings: string[] = [];
const warn = (message: string, fields?: object) => void warnings.push(message + JSON.stringify(fields ?? {}));
const keeper = openCredentials({
  env: {},
  authFile,
  stateDir: `${authFile}.state`,
  tokenUrl,
  clientId: "app",
  fetch,
  log: { debug() {}, info() {}, warn, error: warn },
});

// As in `serve`.
await keeper.allowUnsaved();

async function obey(command: string): Promise<object> {
  try {
    if (command === "settle") await keeper.settle();
    if (command === "current") await keeper.current();
    if (command === "renew") await keeper.recover(await keeper.current(), 2);
    return { warnings: warnings.splice(0) };
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    return { code: error.code, message: error.message, hint: error.hint, warnings: warnings.splice(0) };
  }
}

console.log("ready");
for await (const line of console) {
  if (line === "loop") for (;;) await obey("renew");
  console.log(JSON.stringify(await obey(line)));
}
