import { callRelay } from "./call-relay.ts";
import { isObject, nonEmptyString } from "../lib/json.ts";

const PROBE_MS = 2000;

/** What a running relay says about itself on /health. */
export interface RelayFacts {
  readonly instance: string;
  readonly version: string;
  readonly uptimeMs: number;
}

/** The relay that answers at a URL as in `http://127.0.0.1:8787` or `unix:/run/relay.sock`; undefined when none does. */
export async function relayAt(url: string): Promise<RelayFacts | undefined> {
  try {
    const reply = await callRelay(url, "/health", {
      redirect: "manual",
      // Nothing secret is asked or said here, and what is said is only shown.
      ...(url.startsWith("https:") ? { tls: { rejectUnauthorized: false } } : {}),
      signal: AbortSignal.timeout(PROBE_MS),
    });
    const body: unknown = await reply.json();
    if (!isObject(body) || body["name"] !== "plansocket") return undefined;
    return {
      instance: nonEmptyString(body["instance"]) ?? "",
      version: nonEmptyString(body["version"]) ?? "",
      uptimeMs: Number(body["uptime_seconds"]) * 1000,
    };
  } catch {
    return undefined;
  }
}
