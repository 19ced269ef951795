import { ExportResultCode, type ExportResult } from "@opentelemetry/core";
import {
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
  type ISerializer,
} from "@opentelemetry/otlp-transformer";
import { defaultResource, resourceFromAttributes, type Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
  type Sampler,
} from "@opentelemetry/sdk-trace";
import { NAME, VERSION } from "../version.ts";
import { Instruments } from "./instruments.ts";
import { OtlpSender, type OtlpDependencies } from "./otlp.ts";
import { OtlpRequestTrace } from "./request-trace.ts";
import type { Destination, TelemetrySettings } from "./settings.ts";
import type { PlanUse, RequestStart, RequestTrace, Telemetry } from "./telemetry.ts";

/** How long a stop waits for the last batches. */
const CLOSE_MS = 2000;
/** A client's own words are sent this far, in characters. */
const LONGEST_TEXT = 200;

/**
 * Traces and metrics over OTLP/HTTP. The SDK batches, samples and counts; its own exporters are not used, because they
 * go through `node:http`, past the proxy and the authorities that all other traffic of the relay keeps to.
 */
export class OtlpTelemetry implements Telemetry {
  readonly #tracers: TracerProvider;
  readonly #meters: MeterProvider;
  readonly #instruments: Instruments;
  readonly #propagates: boolean;
  readonly #closing = new AbortController();
  readonly #closeMs: number;

  constructor(settings: TelemetrySettings, deps: OtlpDependencies) {
    const { traces, metrics, queue } = settings;
    this.#closeMs = deps.closeMs ?? CLOSE_MS;
    const sender = (what: string, destination: Destination) =>
      new OtlpSender(what, destination, deps, this.#closing.signal);
    const resource = resourceOf(settings);
    this.#propagates = settings.propagates;
    this.#tracers = new TracerProvider({
      resource,
      // Where no spans are sent none are kept either.
      sampler: traces ? samplerOf(settings) : new AlwaysOffSampler(),
      spanLimits: { attributeValueLengthLimit: LONGEST_TEXT },
      spanProcessors: traces
        ? [
            new BatchSpanProcessor({
              exporter: exporter<ReadableSpan[]>(
                traces.encoding === "http/json" ? JsonTraceSerializer : ProtobufTraceSerializer,
                sender("Traces", traces),
              ),
              maxQueueSize: queue.size,
              maxExportBatchSize: queue.batch,
              scheduledDelayMillis: queue.delayMs,
              // The sender keeps the time.
              exportTimeoutMillis: traces.timeoutMs + CLOSE_MS,
            }),
          ]
        : [],
    });
    this.#meters = new MeterProvider({ resource, readers: metrics ? [readerOf(metrics, settings, sender)] : [] });
    this.#instruments = new Instruments(this.#meters.getMeter(NAME, VERSION));
  }

  begin(start: RequestStart): RequestTrace {
    return new OtlpRequestTrace(start, {
      tracer: this.#tracers.getTracer(NAME, VERSION),
      instruments: this.#instruments,
      propagates: this.#propagates,
    });
  }

  watchPlan(read: () => readonly PlanUse[]): void {
    this.#instruments.watchPlan(read);
  }

  async close(): Promise<void> {
    const limit = setTimeout(() => this.#closing.abort(), this.#closeMs);
    // What did not arrive was told by its sender.
    await Promise.allSettled([this.#tracers.shutdown(), this.#meters.shutdown()]);
    clearTimeout(limit);
  }
}

/** What the SDK's processors hand batches to. */
function exporter<Batch>(
  serializer: ISerializer<Batch, { readonly partialSuccess?: { readonly errorMessage?: string } }>,
  sender: OtlpSender,
) {
  const post = async (batch: Batch): Promise<void> => {
    const bytes = serializer.serializeRequest(batch);
    if (!bytes) return;
    const reply = await sender.send(bytes);
    sender.taken(reply.length > 0 ? serializer.deserializeResponse(reply).partialSuccess?.errorMessage : undefined);
  };
  const underWay = new Set<Promise<void>>();
  return {
    export(batch: Batch, onEnd: (result: ExportResult) => void): void {
      const posted = post(batch).then(
        () => onEnd({ code: ExportResultCode.SUCCESS }),
        (error: Error) => onEnd({ code: ExportResultCode.FAILED, error }),
      );
      underWay.add(posted);
      void posted.finally(() => underWay.delete(posted));
    },
    async forceFlush(): Promise<void> {
      await Promise.all(underWay);
    },
    async shutdown(): Promise<void> {
      await Promise.all(underWay);
    },
  };
}

function readerOf(
  metrics: Destination,
  { metricsEveryMs, isDelta }: TelemetrySettings,
  sender: (what: string, destination: Destination) => OtlpSender,
): PeriodicExportingMetricReader {
  const serializer = metrics.encoding === "http/json" ? JsonMetricsSerializer : ProtobufMetricsSerializer;
  // Else batches to a silent collector would overlap.
  const timeoutMs = Math.min(metrics.timeoutMs, metricsEveryMs);
  return new PeriodicExportingMetricReader({
    exportIntervalMillis: metricsEveryMs,
    exporter: {
      ...exporter<ResourceMetrics>(serializer, sender("Metrics", { ...metrics, timeoutMs })),
      selectAggregationTemporality: () => (isDelta ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE),
    },
  });
}

function samplerOf({ sampler: { name, ratio } }: TelemetrySettings): Sampler {
  const root = name.endsWith("always_off")
    ? new AlwaysOffSampler()
    : name.endsWith("traceidratio")
      ? new TraceIdRatioBasedSampler(ratio)
      : new AlwaysOnSampler();
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}

/** Who sends: each replica under an id of its own. The owner's attributes come first. */
function resourceOf({ resource }: TelemetrySettings): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      "service.name": NAME,
      "service.version": VERSION,
      "service.instance.id": crypto.randomUUID(),
      ...resource,
    }),
  );
}
