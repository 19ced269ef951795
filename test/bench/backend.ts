/** The stand-in backend in a process of its own. Prints where it listens and a login, as one line of JSON. */
import { startDemoBackend } from "../../src/demo/backend.ts";

const backend = startDemoBackend();
const login = backend.issueLogin();
process.stdout.write(
  `${JSON.stringify({ baseUrl: backend.baseUrl, accessToken: login.accessToken, accountId: login.accountId })}\n`,
);
