import type { Environment } from "../lib/environment.ts";
import type { OtlpDependencies } from "./otlp.ts";
import { telemetrySettings } from "./settings.ts";
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
