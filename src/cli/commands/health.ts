import { defineCommand } from "citty";
import { loadSettings, type Judgment } from "../../config/load.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, parseJson, type JsonObject } from "../../lib/json.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { openEgress, type Egress } from "../../upstream/egress.ts";
import { callRelay, socketOf } from "../call-relay.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { printJson, printText, warnOf } from "../output.ts";
import { relayUrl } from "../relay-url.ts";
import { ownTls, ownUrl } from "../own-relay.ts";
import { errorCode, errorName } from "../../lib/thrown.ts";

/** A healthy relay answers in a millisecond. */
const TIMEOUT_MS = 3000;

const OWN: Readonly<Record<string, OwnFlag>> = {
  url: { value: "URL", help: "the relay to ask (default: where `serve` would listen with these settings)" },
  ready: { help: "also ask whether its login works" },
  json: { help: "print JSON" },
};

/** Only a relay elsewhere can be behind a proxy. */
const judgmentOf = (url: string | true | undefined): Judgment => ({
  needs: url === undefined ? ["host", "port", "addr", "unix", "basePath", "tlsCert"] : ["proxy"],
  toleratesFile: true,
});

export const health = defineCommand({
  meta: { name: "health", description: "Say whether a relay answers: exit code 0 when it does, else 1." },
  args: citty(OWN, ["host", "port", "addr", "unix", "basePath", "tlsCert", "proxy"]),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const { settings, warnings } = await loadSettings(flags.settings, process.env, judgmentOf(flags.own["url"]));
    warnOf(warnings);
    const egress = openEgress(settings.proxy, process.env);
    const url = flags.own["url"] === undefined ? ownUrl(settings) : relayUrl(flags.own["url"]);
    const tls = flags.own["url"] === undefined ? ownTls(settings) : {};
    const alive = await ask(egress, url, "/health", tls);
    if (alive.body?.["name"] !== "plansocket") throw stranger(url, alive);
    const ready = flags.own["ready"] === true ? await ask(egress, url, "/ready", tls) : undefined;
    if (ready && ready.status !== 200) throw notReady(ready);
    if (flags.own["json"]) printJson({ url, ...alive.body, ...ready?.body });
    else printText(`plansocket ${String(alive.body["version"])} answers on ${url}`);
    return 0;
  },
});

/** What the system and Bun say where nobody listens; ENOENT where there is not even a socket. */
const NOBODY = new Set(["ConnectionRefused", "ECONNREFUSED", "ENOENT"]);

interface Reply {
  readonly status: number;
  readonly body: JsonObject | undefined;
}

async function ask(egress: Egress, url: string, path: string, tls: object): Promise<Reply> {
  try {
    const options = { signal: AbortSignal.timeout(TIMEOUT_MS), ...tls };
    const response = await (socketOf(url) ? callRelay(url, path, options) : egress.fetch(`${url}${path}`, options));
    const body = parseJson(await response.text());
    return { status: response.status, body: isObject(body) ? body : undefined };
  } catch (error) {
    const { host, origin } = socketOf(url) ? { host: url, origin: url } : new URL(url);
    const [name, code] = [errorName(error), errorCode(error)];
    if (name === "TimeoutError") {
      throw new RelayError("upstream_timeout", `${origin} did not answer within ${TIMEOUT_MS / 1000} s.`, {
        hint: "Look at the relay's log, or start it again.",
      });
    }
    if (!NOBODY.has(String(code))) {
      throw unreachable(error, host, egress.proxyFor(url));
    }
    throw new RelayError("upstream_unreachable", `Nothing listens on ${origin}.`, {
      cause: error,
      hint: "Start the relay with `plansocket serve`, or name another with --url.",
    });
  }
}

function stranger(url: string, { status, body }: Reply): RelayError {
  const error = isObject(body?.["error"]) ? nonEmptyString(body["error"]["code"]) : undefined;
  if (error === "host_not_allowed") {
    return new RelayError("host_not_allowed", `The relay on ${url} does not answer to that name.`, {
      hint: "Ask it under a loopback name, or start it with --allow-host.",
    });
  }
  return new RelayError("upstream_error", `${url} answers with status ${status}, but it is no plansocket.`, {
    hint: "Name the relay's own address with --url.",
  });
}

function notReady({ status, body }: Reply): RelayError {
  const reason = nonEmptyString(body?.["reason"]) ?? `status ${status}`;
  return new RelayError("codex_auth_required", `The relay answers, but is not ready (${reason}).`, {
    hint: "Run `plansocket doctor` beside it.",
  });
}
