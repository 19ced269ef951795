import type { Environment } from "../lib/environment.ts";
import { SILENT_LOG } from "../lib/log.ts";
import { OtlpSender, type OtlpDependencies } from "./otlp.ts";
import { telemetrySettings, type Destination } from "./settings.ts";
import type { Telemetry } from "./telemetry.ts";

/**
 * What OpenTelemetry's variables ask for; undefined where they ask for nothing, and then nothing of OpenTelemetry is
 * loaded. What they ask for in vain is told in the log.
 */
export async function openTelemetry(env: Environment, deps: OtlpDependencies): Promise<Telemetry | undefined> {
  const settings = telemetrySettings(env);
  if (!settings) return undefined;
  for (const warning of settings.warnings) deps.log.warn(warning);
  if (!settings.traces && !settings.metrics) return undefined;
  const { OtlpTelemetry } = await import("./otlp-telemetry.ts");
  return new OtlpTelemetry(settings, deps);
}

/** One collector, tried. */
interface Trial {
  readonly signal: "traces" | "metrics";
  readonly url: string;
  /** Why it does not take anything, as the end of a sentence; undefined where it does. */
  readonly fault: string | undefined;
}

/** Sends each collector that the variables name a batch with nothing in it; and what they ask for in vain. */
export async function tryCollectors(
  env: Environment,
  fetch: OtlpDependencies["fetch"],
  signal: AbortSignal,
): Promise<{ readonly trials: readonly Trial[]; readonly warnings: readonly string[] }> {
  const settings = telemetrySettings(env);
  const deps = { fetch, log: SILENT_LOG, sleep: () => Promise.resolve() };
  const trial = async (name: Trial["signal"], destination: Destination | undefined): Promise<Trial[]> => {
    if (!destination) return [];
    const sender = new OtlpSender(name, destination, deps, signal);
    const empty = destination.encoding === "http/json" ? new TextEncoder().encode("{}") : new Uint8Array();
    const fault = await sender.send(empty).then(
      () => undefined,
      (error: Error) => error.message,
    );
    return [{ signal: name, url: destination.url, fault }];
  };
  const trials = await Promise.all([trial("traces", settings?.traces), trial("metrics", settings?.metrics)]);
  return { trials: trials.flat(), warnings: settings?.warnings ?? [] };
}
