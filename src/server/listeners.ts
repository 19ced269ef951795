import type { Server } from "bun";
import { RelayError, toRelayError } from "../lib/errors.ts";
import { errorCode, errorField } from "../lib/thrown.ts";
import type { Certificate } from "./certificate.ts";
import { OPENAI_ERRORS, errorReply } from "./http/reply.ts";
import type { RelayOptions } from "./options.ts";
import type { Relay } from "./relay.ts";
import type { ResponsesSocket } from "./websocket/responses-socket.ts";

type Listener = Server<ResponsesSocket>;

/** Bun cuts connections that are silent for this long unless a handler says otherwise; also bounds slow headers. */
const CONNECTION_IDLE_SECONDS = 30;

/** Where one relay listens: a server for each address, or one for its socket, and those whose certificate was replaced. */
export class Listeners {
  /** The same on every address. */
  readonly port: number;
  readonly #options: RelayOptions;
  readonly #relay: Relay;
  #current: Listener[] = [];
  /** With an older certificate, until all that is open there has ended. */
  readonly #replaced = new Set<Listener>();

  /** Throws `start_failed` naming the address that cannot be listened on; then none is. */
  constructor(options: RelayOptions, certificate: Certificate | undefined, relay: Relay) {
    this.#options = options;
    this.#relay = relay;
    this.port = options.port;
    try {
      for (const host of [options.host, ...(options.otherHosts ?? [])]) {
        const port = certificate ? claimed(host, this.port) : this.port;
        const listener = this.#listen(host, port, certificate);
        this.#current.push(listener);
        this.port = listener.port ?? port;
      }
    } catch (error) {
      for (const listener of this.#current) void listener.stop(true);
      throw error;
    }
  }

  /** New connections get this certificate. Bun's servers keep theirs, so others take the port; what is open goes on. */
  renew(certificate: Certificate): void {
    const old = this.#current;
    const hosts = [this.#options.host, ...(this.#options.otherHosts ?? [])];
    this.#current = hosts.map((host) => this.#listen(host, this.port, certificate));
    for (const listener of old) {
      this.#replaced.add(listener);
      void listener.stop().finally(() => this.#replaced.delete(listener));
    }
  }

  /** Takes no new connections; resolves once all that is open has ended, or at once with everything cut. */
  async stop(isCut = false): Promise<void> {
    await Promise.all([...this.#current, ...this.#replaced].map((listener) => listener.stop(isCut)));
  }

  #listen(host: string, port: number, certificate: Certificate | undefined): Listener {
    const { unix, maxBodyBytes } = this.#options;
    const relay = this.#relay;
    const common = {
      idleTimeout: CONNECTION_IDLE_SECONDS,
      // The relay's own limit answers with a body that says so; Bun's only with a bare 413.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      routes: relay.bunRoutes(),
      fetch: (request: Request, server: Listener) => relay.elsewhere(request, server),
      websocket: relay.sockets.handlers(maxBodyBytes),
      error: (error: Error) => {
        relay.log.error("A request failed inside the relay.", { reason: error.message });
        return errorReply(toRelayError(error), OPENAI_ERRORS, {});
      },
    };
    try {
      if (unix !== undefined) {
        // Its types know no limit on silence for sockets; the server has one.
        const { idleTimeout, ...rest } = common;
        const options = Object.assign({ unix, ...rest }, { idleTimeout } as object);
        return forOwnerAlone(() => Bun.serve(options));
      }
      return Bun.serve({
        hostname: host,
        port,
        // The port is shared with the server of a new certificate until the old one has answered all.
        ...(certificate ? { tls: { cert: certificate.cert, key: certificate.key }, reusePort: true } : {}),
        ...common,
      });
    } catch (error) {
      throw unix === undefined ? cannotListen(host, port, error) : cannotListenOn(unix, error);
    }
  }
}

/** A socket is made with the mode that the umask leaves, and must not be open to others for a moment. */
function forOwnerAlone<Result>(make: () => Result): Result {
  const usual = process.umask(0o177);
  try {
    return make();
  } finally {
    process.umask(usual);
  }
}

/** The port to listen on, once it is certain that nobody else does: listeners that share it would not notice. */
function claimed(hostname: string, port: number): number {
  try {
    const probe = Bun.listen({ hostname, port, socket: { data() {} } });
    const free = probe.port;
    probe.stop(true);
    return free;
  } catch (error) {
    throw cannotListen(hostname, port, error);
  }
}

/** The failed address, for whoever wants to know who holds it. */
export interface FailedAddress {
  readonly host: string;
  readonly port: number;
  /** The system's. */
  readonly code: string | undefined;
}

/** The address in such an error. */
export function failedAddress(thrown: unknown): (FailedAddress & { readonly code: string }) | undefined {
  const cause = errorField(thrown, "cause");
  const [host, port, code] = ["host", "port", "code"].map((field) => errorField(cause, field));
  return typeof host === "string" && typeof port === "number" && typeof code === "string"
    ? { host, port, code }
    : undefined;
}

/** `start_failed` whose cause is a `FailedAddress`. */
function cannotListen(host: string, port: number, error: unknown): RelayError {
  const code = errorCode(error);
  const isBusy = code === "EADDRINUSE";
  const message = isBusy ? `Port ${port} on ${host} is in use.` : `Could not listen on ${host}:${port}.`;
  const hint = isBusy ? "Stop the program that uses it, or choose another with --port." : "Check --host and --port.";
  const cause: FailedAddress = { host, port, code };
  return new RelayError("start_failed", message, { cause, hint });
}

function cannotListenOn(path: string, cause: unknown): RelayError {
  return new RelayError("start_failed", `${path} cannot be listened on (${errorCode(cause) ?? "unknown"}).`, {
    cause,
    hint: "Name a path of at most 100 characters in a folder of your own with --unix.",
  });
}
