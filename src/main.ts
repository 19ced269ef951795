import { startAnew } from "./cli/start-anew.ts";
import { keepOwnRights } from "./cli/umask.ts";

/** Time for pipes to take what was written; after it nothing that is still open keeps the process alive. */
const LINGER_MS = 200;

keepOwnRights();
const [command] = process.argv.slice(2);
if (command === "serve" || command === "demo") startAnew();

// Loaded only now: what the process above has loaded is lost when it starts anew.
const { main } = await import("./cli/index.ts");
const code = await main(process.argv.slice(2));
process.exitCode = code;
setTimeout(() => process.exit(code), LINGER_MS).unref();
