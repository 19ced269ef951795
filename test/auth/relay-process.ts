/** One relay's credentials in a process of its own: `bun relay-process.ts <auth file> <token URL> once|loop`. */
import { openCredentials } from "../../src/auth/index.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";

const [authFile = "", tokenUrl = "", mode] = process.argv.slice(2);
const keeper = openCredentials({
  env: {},
  authFile,
  stateDir: `${authFile}.state`,
  tokenUrl,
  clientId: "app",
  fetch,
  log: SILENT_LOG,
});
if (mode === "once") {
  console.log("ready");
  // The parent lets all processes go at the same moment.
  for await (const _ of console) break;
  console.log((await keeper.current()).accessToken);
} else {
  let credentials = await keeper.current();
  console.log("ready");
  for (let times = 0; times < 200; times += 1) credentials = await keeper.recover(credentials, 2);
  console.log("done");
}
