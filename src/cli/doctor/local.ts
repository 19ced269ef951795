import { arch, platform, release } from "node:os";
import { existsSync } from "node:fs";
import { configFile } from "../../config/paths.ts";
import type { Environment } from "../../lib/environment.ts";
import { isLoopbackName } from "../../lib/host.ts";
import type { RunningRelay } from "../../server/serve.ts";
import { COMMIT, VERSION } from "../../version.ts";
import { addressOf, listeningUrl, urlAt } from "../own-relay.ts";
import { socketState } from "../../server/unix-socket.ts";
import { toRelayError } from "../../lib/errors.ts";
import { listenFailure } from "../listen-failure.ts";
import { portOwner } from "../port-owner.ts";
import { relayAt } from "../relay-at.ts";
import { span } from "../../lib/time.ts";
import type { Services } from "../services.ts";
import { fail, ok, warn, type Outcome } from "./finding.ts";
import { otherProgramsOnPath } from "./other-programs.ts";
import { errorCode } from "../../lib/thrown.ts";

const PROBE_MS = 2000;

/** What this program is, and others of its name that a shell may start instead. */
export function versionCheck(clientVersion: string, env: Environment): Outcome {
  const commit = COMMIT === "" ? "" : ` (${COMMIT})`;
  const system = `${platform()} ${release()} ${arch()}`;
  const line = `plansocket ${VERSION}${commit}, speaks as Codex CLI ${clientVersion}, Bun ${Bun.version}, ${system}`;
  // From source there is no executable that another could be taken for.
  const others = Bun.isStandaloneExecutable ? otherProgramsOnPath(env, process.execPath) : [];
  const detail = { version: VERSION, client_version: clientVersion, bun: Bun.version, system, others };
  if (others.length === 0) return ok(line, detail);
  return warn(
    `${line}. Another plansocket is on PATH: ${others.join(", ")}.`,
    `Remove it, or put the folder of ${process.execPath} first.`,
    detail,
  );
}

/** Where the values come from that are not the defaults. */
export function settingsCheck({ origins, warnings }: Services, env: Environment | undefined): Outcome {
  const set = Object.entries(origins).filter(([, origin]) => origin !== "default");
  const file = env === undefined ? undefined : configFile(env);
  const detail = { config_file: file !== undefined && existsSync(file) ? file : null, set: Object.fromEntries(set) };
  const fault = warnings.find(({ fix }) => fix !== undefined);
  if (fault) return fail(fault.message, fault.fix ?? "", { ...detail, warnings });
  const [left] = warnings;
  if (left) return warn(left.message, "Give that service another name, or set PORT.", { ...detail, warnings });
  if (set.length === 0) return ok("all at their defaults", detail);
  return ok(`set by ${[...new Set(set.map(([, origin]) => origin))].join(", ")}`, detail);
}

/** Where `serve` would listen: free, or taken by whom. */
export async function portCheck({ settings }: Services, hasKeys: boolean): Promise<Outcome> {
  const { host, otherHosts, port, unix } = addressOf(settings);
  if (unix !== undefined) return socketCheck(unix, listeningUrl(settings));
  const hosts = [host, ...otherHosts];
  const open = hosts.find((each) => !isLoopbackName(each));
  if (open !== undefined && settings.apiKey === undefined && !hasKeys) {
    return fail(
      `${open} is not loopback and no API key is set: serve would refuse.`,
      "Set --api-key, make a key with `plansocket keys add NAME`, or leave --host.",
    );
  }
  if (port === 0) return ok("any free port");
  for (const each of hosts) {
    try {
      await Bun.serve({ hostname: each, port, fetch: () => new Response() }).stop(true);
    } catch (error) {
      const code = errorCode(error) ?? "unknown";
      if (code === "EADDRINUSE") return takenBy(port, urlAt(settings, each, port));
      const { message, hint } = await listenFailure({ host: each, port }, code);
      return fail(message, hint ?? "Check --host and --port.");
    }
  }
  return ok(`${hosts.map((each) => `${each}:${port}`).join(" and ")} ${hosts.length === 1 ? "is" : "are"} free`);
}

/** The same for a socket. */
async function socketCheck(path: string, url: string): Promise<Outcome> {
  try {
    const state = await socketState(path);
    if (state === "free") return ok(`${path} is free`);
    if (state === "left behind") return ok(`${path} was left by a relay that is gone; serve replaces it`);
    const relay = await relayAt(url);
    if (relay) return ok(`a plansocket ${relay.version} already serves on ${path}, up ${span(relay.uptimeMs)}`);
    return fail(`Another program listens on ${path}.`, "Stop it, or name another path with --unix.");
  } catch (thrown) {
    const { message, hint } = toRelayError(thrown);
    return fail(message, hint ?? "Name another path with --unix.");
  }
}

async function takenBy(port: number, url: string): Promise<Outcome> {
  const owner = portOwner(port);
  const relay = await relayAt(url);
  const detail = { pid: owner?.pid ?? null, name: owner?.name ?? null, is_relay: relay !== undefined };
  if (relay) {
    const pid = owner === undefined ? "" : ` (pid ${owner.pid})`;
    const line = `a plansocket ${relay.version} already serves on port ${port}${pid}, up ${span(relay.uptimeMs)}`;
    return ok(line, detail);
  }
  const who = owner === undefined ? "another program" : `${owner.name} (pid ${owner.pid})`;
  return fail(`Port ${port} is in use by ${who}.`, "Stop that program, or choose another port with --port.", detail);
}

/** The relay's own door, tried from outside: a page of another site must not come in, a local program must. */
export async function gateCheck(relay: RunningRelay, { settings }: Services): Promise<Outcome> {
  const status = async (path: string, headers: Record<string, string>) => {
    const reply = await fetch(`${relay.url}${path}`, { headers, signal: AbortSignal.timeout(PROBE_MS) });
    await reply.body?.cancel();
    return reply.status;
  };
  const wide = "Leave the * out of --allow-host and --cors-origin.";
  const foreignHost = await status("/health", { host: "page.example" });
  if (foreignHost !== 403) {
    return warn("Any host name may be used: a web page could reach the relay by DNS rebinding.", wide);
  }
  const foreignPage = await status("/health", { origin: "https://page.example", "sec-fetch-site": "cross-site" });
  if (foreignPage !== 403) return warn("Any web page may call the relay.", wide);
  if (settings.apiKey !== undefined && (await status("/v1/models", {})) !== 401) {
    return fail("A request without the key was let in.", "This is a bug in the relay; please report it.");
  }
  const local = await status("/health", {});
  if (local !== 200) {
    return fail(`The relay answers its own machine with ${local}.`, "This is a bug in the relay; please report it.");
  }
  return ok("refuses foreign hosts and pages, lets local programs in");
}
