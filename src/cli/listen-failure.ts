import { RelayError } from "../lib/errors.ts";
import { httpUrl } from "../lib/url.ts";
import { portOwner } from "./port-owner.ts";
import { relayAt } from "./relay-at.ts";

/** Where a relay is to listen. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Why an address cannot be listened on, naming who holds the port; `code` is the system's. */
export async function listenFailure(address: Address, code: string, cause?: unknown): Promise<RelayError> {
  const [message, hint] = code === "EADDRINUSE" ? await taken(address) : refused(address, code);
  return new RelayError("start_failed", message, { hint, cause });
}

async function taken({ host, port }: Address): Promise<[message: string, hint: string]> {
  const owner = portOwner(port);
  const isRelay = (await relayAt(httpUrl(host, port))) !== undefined;
  const pid = owner === undefined ? "" : ` (pid ${owner.pid})`;
  const who = isRelay ? `another plansocket${pid}` : owner === undefined ? "another program" : `${owner.name}${pid}`;
  return [
    `Port ${port} on ${host} is in use by ${who}.`,
    isRelay
      ? "Use it as it is (`plansocket status`), stop it, or choose another port with --port."
      : "Stop that program, or choose another port with --port.",
  ];
}

/** Why the system does not let this user listen there, and what helps. */
function refused({ host, port }: Address, code: string): [message: string, hint: string] {
  if (code === "EACCES" || code === "EPERM") {
    return [
      `This user may not listen on port ${port}.`,
      "Ports below 1024 belong to the system: choose a higher one with --port.",
    ];
  }
  if (code === "EADDRNOTAVAIL" || code === "EINVAL" || code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return [`${host} is no address of this machine (${code}).`, "Leave out --host, or name one of its own addresses."];
  }
  return [`${host}:${port} cannot be listened on (${code}).`, "Check --host and --port."];
}
