import { parseArgs } from "node:util";
import { TRANSPORTS, type Client, type Transport } from "./client.ts";
import { CLIENTS } from "./list.ts";

/** What is run unless it is asked for otherwise. */
const USUAL = "http,websocket";

export const USAGE = `bun test/e2e/clients.ts [NAME …] [--install] [--transport http,websocket,auto] [--record]

  NAME …            clients of these names; all of them when left out
  --install         get the newest release of each into a cache first
  --transport LIST  ways from the relay to the backend, one run for each (${USUAL})
  --record          write their rows into .github/COMPATIBILITY.md`;

export interface Options {
  readonly clients: readonly Client[];
  readonly transports: readonly Transport[];
  readonly isInstalling: boolean;
  readonly isRecording: boolean;
}

/** What a command line asks for. Throws with words for its writer where it asks for what there is not. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      install: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      transport: { type: "string", default: USUAL },
    },
  });
  for (const name of positionals) {
    if (!CLIENTS.some((client) => client.name === name)) throw new Error(`No client is called '${name}'.`);
  }
  const transports = values.transport.split(",").map(transportOf);
  // Rows have a column for each way.
  if (values.record && transports.join() !== USUAL) throw new Error(`--record needs the transports ${USUAL}.`);
  return {
    clients: CLIENTS.filter(({ name }) => positionals.length === 0 || positionals.includes(name)),
    transports,
    isInstalling: values.install,
    isRecording: values.record,
  };
}

function transportOf(word: string): Transport {
  const transport = TRANSPORTS.find((name) => name === word.trim());
  if (!transport) throw new Error(`No transport is called '${word}': ${TRANSPORTS.join(", ")}.`);
  return transport;
}
