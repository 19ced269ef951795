import { main } from "./cli/index.ts";

/** Time for pipes to take what was written; after it nothing that is still open keeps the process alive. */
const LINGER_MS = 200;

const code = await main(process.argv.slice(2));
process.exitCode = code;
setTimeout(() => process.exit(code), LINGER_MS).unref();
