import type { Attributes, Meter } from "@opentelemetry/api";
import type { PlanUse } from "./telemetry.ts";

/** The buckets that the conventions name. */
const SECONDS_OF_MODELS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const SECONDS_OF_HTTP = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const FIRST_TOKEN_SECONDS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

/** Error codes that metrics tell apart: the relay's closed list, and codes of upstream. */
const CODES = 64;

type Record = (value: number, attributes: Attributes) => void;

/**
 * The metrics, by the GenAI conventions of OpenTelemetry 1.41 and the HTTP conventions: `gen_ai.client.*` is the relay
 * asking the backend, `gen_ai.server.*` and `http.server.*` are its clients asking the relay. Later drafts rename the
 * first; dashboards know these.
 */
export class Instruments {
  readonly operationSeconds: Record;
  readonly firstChunkSeconds: Record;
  readonly tokens: Record;
  readonly requestSeconds: Record;
  readonly firstTokenSeconds: Record;
  readonly httpSeconds: Record;
  readonly #codes = new Set<string>();
  readonly #meter: Meter;

  constructor(meter: Meter) {
    this.#meter = meter;
    const histogram = (name: string, unit: string, description: string, bounds: number[]): Record => {
      const made = meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: bounds } });
      return (value, attributes) => made.record(value, attributes);
    };
    const seconds = (name: string, description: string, bounds = SECONDS_OF_MODELS) =>
      histogram(name, "s", description, bounds);
    this.operationSeconds = seconds("gen_ai.client.operation.duration", "Asking the backend, from the first attempt.");
    this.firstChunkSeconds = seconds(
      "gen_ai.client.operation.time_to_first_chunk",
      "From the first attempt at the backend to its first output.",
    );
    this.tokens = histogram("gen_ai.client.token.usage", "{token}", "Tokens as the backend counts them.", TOKENS);
    this.requestSeconds = seconds("gen_ai.server.request.duration", "From a client's request to the end of its reply.");
    this.firstTokenSeconds = seconds(
      "gen_ai.server.time_to_first_token",
      "From a client's request to the first output.",
      FIRST_TOKEN_SECONDS,
    );
    this.httpSeconds = seconds("http.server.request.duration", "HTTP requests, by route and status.", SECONDS_OF_HTTP);
  }

  watchPlan(read: () => readonly PlanUse[]): void {
    const description = "How much of a window of the plan is used; 1 is all.";
    this.#meter.createObservableGauge("plansocket.plan.used", { unit: "1", description }).addCallback((result) => {
      for (const { meter, window, used } of read()) {
        result.observe(used, { "plansocket.plan.meter": meter, "plansocket.plan.window": window });
      }
    });
  }

  /** An error's code as metrics keep it: every series stays until the process ends. */
  codeOf(code: string): string {
    if (!this.#codes.has(code) && (this.#codes.size >= CODES || !/^[a-z0-9_.-]{1,64}$/i.test(code))) return "_OTHER";
    this.#codes.add(code);
    return code;
  }
}
