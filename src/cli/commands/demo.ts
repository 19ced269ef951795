import { defineCommand } from "citty";
import { startDemoBackend } from "../../demo/backend.ts";
import { RelayError } from "../../lib/errors.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { say } from "../output.ts";
import { reloader } from "../reload.ts";
import { runUntilStopped } from "../shutdown.ts";
import { listen, wire } from "../services.ts";

/** About the pace of a real model. */
const PACE_MS = 15;

const OWN: Readonly<Record<string, OwnFlag>> = {
  "backend-port": { value: "PORT", help: "port of the stand-in backend itself (default: a free one)" },
  "backend-tls-cert": { value: "FILE", help: "serve the stand-in backend over TLS with this certificate (PEM)" },
  "backend-tls-key": { value: "FILE", help: "private key of that certificate (PEM)" },
};

export const demo = defineCommand({
  meta: { name: "demo", description: "Run the relay against a built-in stand-in backend: no login, no network." },
  args: citty(OWN),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const tls = await tlsOf(flags.own);
    const backend = startDemoBackend({
      port: portOf(flags.own["backend-port"]),
      paceMs: PACE_MS,
      ...(tls ? { tls } : {}),
    });
    try {
      const { accessToken, accountId } = backend.issueLogin();
      const wiring = await wire(flags.settings, process.env, {
        settings: {
          baseUrl: backend.baseUrl,
          openaiBaseUrl: backend.openaiBaseUrl,
          tokenUrl: backend.tokenUrl,
          proxy: undefined,
        },
        // The stand-in's own token: the owner's login is neither read nor written.
        tokens: { OPENAI_ACCESS_TOKEN: accessToken, OPENAI_CHATGPT_ACCOUNT_ID: accountId },
      });
      const relay = listen(wiring);
      const stopped = runUntilStopped(relay, wiring.log, {
        reload: reloader(wiring, relay),
        settle: () => wiring.credentials.settle(),
      });
      introduce(relay.url, backend.origin);
      return await stopped;
    } finally {
      await backend.stop();
    }
  },
});

function introduce(url: string, backend: string): void {
  say(`plansocket demo listens on ${url}: no login is used and nothing leaves this machine`);
  say(`  base URL  ${url}/v1`);
  say("  API key   any text");
  say(`  backend   ${backend} (built in; its answers are made up)`);
  say("");
  say("Try it:");
  say(`  curl ${url}/v1/chat/completions -d '{"model":"gpt-5.5","messages":[{"role":"user","content":"hello"}]}'`);
  say("Faults can be asked for in the prompt, as in fault:usage_limit, fault:overload or fault:cut.");
}

function portOf(text: string | true | undefined): number {
  const port = Number(text ?? 0);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new RelayError("usage", `Bad value '${String(text)}' for --backend-port.`, { hint: "It is a port number." });
}

async function tlsOf(own: Readonly<Record<string, string | true>>): Promise<{ cert: string; key: string } | undefined> {
  const { "backend-tls-cert": cert, "backend-tls-key": key } = own;
  if (cert === undefined && key === undefined) return undefined;
  if (typeof cert !== "string" || typeof key !== "string") {
    throw new RelayError("usage", "--backend-tls-cert and --backend-tls-key belong together.", { hint: "Give both." });
  }
  const read = (path: string) =>
    Bun.file(path)
      .text()
      .catch(() => {
        throw new RelayError("usage", `${path} could not be read.`, { hint: "It is a PEM file." });
      });
  return { cert: await read(cert), key: await read(key) };
}
