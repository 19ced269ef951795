import { arch, platform, release } from "node:os";
import { isLoopbackName } from "../../lib/host.ts";
import { isObject } from "../../lib/json.ts";
import type { RunningRelay } from "../../server/serve.ts";
import { COMMIT, VERSION } from "../../version.ts";
import { portOwner } from "../port-owner.ts";
import { span } from "../time.ts";
import type { Wiring } from "../wire.ts";
import { fail, ok, warn, type Outcome } from "./finding.ts";

const PROBE_MS = 2000;

export function versionCheck(clientVersion: string): Outcome {
  const commit = COMMIT === "" ? "" : ` (${COMMIT})`;
  return ok(
    `codex-relay ${VERSION}${commit}, speaks as Codex CLI ${clientVersion}, Bun ${Bun.version}, ${platform()} ${release()} ${arch()}`,
  );
}

/** Values that are not the defaults, and where they come from. */
export function settingsCheck({ origins }: Wiring): Outcome {
  const set = Object.entries(origins).filter(([, origin]) => origin !== "default");
  if (set.length === 0) return ok("all at their defaults");
  return ok(`set: ${set.map(([name, origin]) => `${name} by ${origin}`).join(", ")}`);
}

/** Where `serve` would listen: free, or taken by whom. */
export async function portCheck({ settings }: Wiring): Promise<Outcome> {
  const host = settings.addr?.host || settings.host;
  const port = settings.addr?.port ?? settings.port;
  if (!isLoopbackName(host) && settings.apiKey === undefined) {
    return fail(
      `${host} is not loopback and no API key is set: serve would refuse.`,
      "Set --api-key, or leave --host.",
    );
  }
  if (port === 0) return ok("any free port");
  try {
    const probe = Bun.serve({ hostname: host, port, fetch: () => new Response() });
    await probe.stop(true);
    return ok(`${host}:${port} is free`);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "EADDRINUSE") {
      return fail(`${host}:${port} cannot be listened on (${code ?? "unknown"}).`, "Check --host and --port.");
    }
    return takenBy(port);
  }
}

async function takenBy(port: number): Promise<Outcome> {
  const owner = portOwner(port);
  const who = owner === undefined ? "another program" : `${owner.name} (pid ${owner.pid})`;
  const body = await healthAt(port);
  if (body?.["name"] === "codex-relay") {
    const upMs = Number(body["uptime_seconds"]) * 1000;
    const pid = owner === undefined ? "" : ` (pid ${owner.pid})`;
    return ok(`a codex-relay ${String(body["version"])} already serves on port ${port}${pid}, up ${span(upMs)}`);
  }
  return fail(`Port ${port} is in use by ${who}.`, "Stop that program, or choose another port with --port.");
}

async function healthAt(port: number): Promise<Record<string, unknown> | undefined> {
  try {
    const reply = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(PROBE_MS) });
    const body: unknown = await reply.json();
    return isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** The relay's own door, tried from outside: a page of another site must not come in, a local program must. */
export async function gateCheck(relay: RunningRelay, { settings }: Wiring): Promise<Outcome> {
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
