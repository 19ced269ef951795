import { defineCommand } from "citty";
import { loadSettings } from "../../config/load.ts";
import { stateFolder } from "../../config/paths.ts";
import type { Settings, SettingName } from "../../config/settings.ts";
import { leaveOpenCode } from "../../keys/open-code.ts";
import { RelayError } from "../../lib/errors.ts";
import { fileFailure } from "../../lib/file-failure.ts";
import { isObject, nonEmptyString } from "../../lib/json.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { browserCommand, openBrowser } from "../login/open-browser.ts";
import { print, say } from "../output.ts";
import { relayAt } from "../relay-at.ts";
import { ownTls, ownUrl } from "../own-relay.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  print: { help: "only print the address, which opens the page once" },
};
const SETTINGS_USED: readonly SettingName[] = [
  "host",
  "port",
  "addr",
  "unix",
  "apiKey",
  "basePath",
  "tlsCert",
  "stateDir",
];
const TIMEOUT_MS = 5000;

export const open = defineCommand({
  meta: {
    name: "open",
    description: "Open the status page of the relay that runs here in the browser, signed in where a key is needed.",
  },
  args: citty(OWN, SETTINGS_USED),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const { settings } = await loadSettings(flags.settings, process.env, {
      needs: SETTINGS_USED,
      toleratesFile: true,
    });
    const url = ownUrl(settings);
    if (settings.unix !== undefined) {
      throw new RelayError("usage", "A browser cannot open a Unix socket.", {
        hint: "Put a reverse proxy in front of it, or run the relay on a port to see the page.",
      });
    }
    if (!(await relayAt(url))) {
      throw new RelayError("nothing_there", `No relay answers on ${url}.`, {
        hint: "Start one with `plansocket start`, or name its --port.",
      });
    }
    const address = await addressFor(url, settings);
    const command = flags.own["print"] === true ? undefined : browserCommand(address, process.platform, process.env);
    if (command !== undefined && openBrowser(command)) {
      say(`Your browser opens ${url}/. If it does not, go to:`);
    }
    print(address);
    return 0;
  },
});

/** The page's address: with a code that signs in where the relay asks for a key. */
async function addressFor(url: string, settings: Settings): Promise<string> {
  const tls = ownTls(settings);
  const bare = await fetch(`${url}/page/state`, { ...tls, signal: AbortSignal.timeout(TIMEOUT_MS) });
  await bare.body?.cancel();
  if (bare.status !== 401) return `${url}/`;
  const code = settings.apiKey === undefined ? codeInFolder(settings) : await codeFor(url, settings.apiKey, tls);
  return `${url}/page/enter?code=${code}`;
}

function codeInFolder(settings: Settings): string {
  const folder = stateFolder(process.env, settings);
  try {
    return leaveOpenCode(folder);
  } catch (error) {
    throw (
      fileFailure(error, { code: "start_failed", path: folder, instead: "or name the relay's key with --api-key" }) ??
      error
    );
  }
}

async function codeFor(url: string, apiKey: string, tls: object): Promise<string> {
  const reply = await fetch(`${url}/page/code`, {
    ...tls,
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body: unknown = await reply.json().catch(() => undefined);
  const code = isObject(body) ? nonEmptyString(body["code"]) : undefined;
  if (reply.ok && code !== undefined) return code;
  throw new RelayError("invalid_api_key", `The relay on ${url} has another API key than the one that is set here.`, {
    hint: "Set --api-key or PLANSOCKET_API_KEY to the key that it was started with.",
  });
}
