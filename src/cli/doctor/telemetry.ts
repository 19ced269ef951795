import type { Environment } from "../../lib/environment.ts";
import type { Services } from "../services.ts";
import { ok, skip, warn, type Outcome } from "./finding.ts";

const HOST_FIX = "Check the OTEL_EXPORTER_OTLP_… variables. Requests are answered all the same.";

/** Whether the collector that OpenTelemetry's variables name takes something: an empty batch of each signal. */
export async function telemetryCheck(
  { egress }: Pick<Services, "egress">,
  env: Environment,
  signal: AbortSignal,
): Promise<Outcome> {
  const { tryCollectors } = await import("../../telemetry/index.ts");
  const { trials, warnings } = await tryCollectors(env, egress.fetch, signal);
  const detail = { collectors: [...new Set(trials.map(({ url }) => new URL(url).origin))] };
  const faults = trials.flatMap(({ url, fault }) => (fault === undefined ? [] : [`${new URL(url).host}: ${fault}`]));
  const said = [...new Set([...warnings, ...faults.map((fault) => `${fault}.`)])];
  if (said.length > 0) return warn(said.join(" "), HOST_FIX, detail);
  if (trials.length === 0) return skip("the OTEL_ variables ask for nothing");
  return ok(
    `${[...new Set(trials.map(({ url }) => new URL(url).host))].join(", ")} takes ${trials.map(({ signal: what }) => what).join(" and ")}`,
    detail,
  );
}
