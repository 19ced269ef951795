import type { Environment } from "../lib/environment.ts";

/** Where one signal goes, and how. */
export interface Destination {
  readonly url: string;
  readonly encoding: "http/protobuf" | "http/json";
  readonly headers: Readonly<Record<string, string>>;
  readonly isCompressed: boolean;
  /** For one batch, its repetitions with it. */
  readonly timeoutMs: number;
  /** Paths of PEM files: the authority of the collector, and the relay's own certificate and key for it. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/**
 * What OpenTelemetry's standard variables ask for, as in
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
 */
export interface TelemetrySettings {
  /** Undefined where none are sent; the same for metrics. */
  readonly traces: Destination | undefined;
  readonly metrics: Destination | undefined;
  readonly sampler: { readonly name: SamplerName; readonly ratio: number };
  /** Goes on with the traces of clients that send `traceparent`. */
  readonly propagates: boolean;
  readonly resource: Readonly<Record<string, string>>;
  readonly queue: { readonly size: number; readonly batch: number; readonly delayMs: number };
  readonly metricsEveryMs: number;
  /** Counts since the last export rather than since the start. */
  readonly isDelta: boolean;
  /** What is left aside, in sentences for the log. */
  readonly warnings: readonly string[];
}

const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
type SamplerName = (typeof SAMPLERS)[number];

type Signal = "TRACES" | "METRICS";

/** Where a collector on the same machine listens. */
const USUAL_ENDPOINT = "http://localhost:4318";
/** Beyond it a timer of the runtime would fire at once. */
const LONGEST_MS = 2_147_483_647;

/** Reads the variables. Undefined where nothing is to be sent and nothing has to be said. */
export function telemetrySettings(env: Environment): TelemetrySettings | undefined {
  if (env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true") return undefined;
  const reader = new VariableReader(env);
  const traces = reader.destination("TRACES");
  const metrics = reader.destination("METRICS");
  const { warnings } = reader;
  if (!traces && !metrics && warnings.length === 0) return undefined;
  const size = reader.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048);
  const name = env["OTEL_SERVICE_NAME"];
  return {
    traces,
    metrics,
    sampler: reader.sampler(),
    propagates: (env["OTEL_PROPAGATORS"] || "tracecontext").split(",").some((each) => each.trim() === "tracecontext"),
    resource: { ...reader.pairs("OTEL_RESOURCE_ATTRIBUTES"), ...(name ? { "service.name": name } : {}) },
    queue: {
      size,
      batch: Math.min(size, reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)),
      delayMs: reader.number("OTEL_BSP_SCHEDULE_DELAY", 5000),
    },
    metricsEveryMs: reader.number("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
    isDelta: env["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"]?.trim().toLowerCase() === "delta",
    warnings,
  };
}

class VariableReader {
  readonly warnings: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /**
   * Without an endpoint and without an exporter nothing is sent: the standard's own default would call a port of this
   * machine that nobody may have meant.
   */
  destination(signal: Signal): Destination | undefined {
    const exporterName = `OTEL_${signal}_EXPORTER`;
    const exporters = this.#text(exporterName)?.toLowerCase().split(",");
    const named = exporters?.map((name) => name.trim()).filter((name) => name !== "");
    if (named?.includes("none")) return undefined;
    if (named && !named.includes("otlp")) {
      this.#warn(exporterName, "only otlp and none are; nothing is sent.");
      return undefined;
    }
    const url = this.#url(signal, named !== undefined);
    const encoding = url === undefined ? undefined : this.#encoding(signal);
    if (url === undefined || encoding === undefined) return undefined;
    const file = (kind: string, what: "ca" | "cert" | "key") => {
      const path = this.#ofSignal(signal, kind)?.text;
      return path === undefined ? {} : { [what]: path };
    };
    return {
      url,
      encoding,
      headers: { ...this.pairs("OTEL_EXPORTER_OTLP_HEADERS"), ...this.pairs(`OTEL_EXPORTER_OTLP_${signal}_HEADERS`) },
      isCompressed: this.#ofSignal(signal, "COMPRESSION")?.text.toLowerCase() === "gzip",
      timeoutMs: this.number(this.#ofSignal(signal, "TIMEOUT")?.name ?? "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
      tls: { ...file("CERTIFICATE", "ca"), ...file("CLIENT_CERTIFICATE", "cert"), ...file("CLIENT_KEY", "key") },
    };
  }

  sampler(): TelemetrySettings["sampler"] {
    const usual = "parentbased_always_on";
    const given = this.#text("OTEL_TRACES_SAMPLER")?.toLowerCase() ?? usual;
    const name = SAMPLERS.find((known) => known === given);
    if (!name) this.#warn("OTEL_TRACES_SAMPLER", `it stays at ${usual}.`);
    const ratio = Number(this.#text("OTEL_TRACES_SAMPLER_ARG") ?? 1);
    const isRatio = ratio >= 0 && ratio <= 1;
    if (!isRatio) this.#warn("OTEL_TRACES_SAMPLER_ARG", "it is a number from 0 to 1, and stays at 1.");
    return { name: name ?? usual, ratio: isRatio ? ratio : 1 };
  }

  number(name: string, usual: number): number {
    const text = this.#text(name);
    if (text === undefined) return usual;
    const value = Number(text);
    if (Number.isInteger(value) && value > 0 && value <= LONGEST_MS) return value;
    this.#warn(name, `it stays at ${usual}.`);
    return usual;
  }

  /** `key=value,other=value` with percent-encoded values, as W3C Baggage has them. Values are secrets: none is repeated. */
  pairs(name: string): Record<string, string> {
    const pairs: Record<string, string> = {};
    for (const entry of this.#text(name)?.split(",") ?? []) {
      if (entry.trim() === "") continue;
      const at = entry.indexOf("=");
      const value = at < 1 ? undefined : decoded(entry.slice(at + 1).trim());
      if (value === undefined) this.warnings.push(`${name} has an entry that is no KEY=VALUE; it is left out.`);
      else pairs[entry.slice(0, at).trim()] = value;
    }
    return pairs;
  }

  /** A signal's own endpoint is taken as it is; the one for all has the signal's path below it. */
  #url(signal: Signal, isAsked: boolean): string | undefined {
    const own = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`;
    const ofAll = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const ownText = this.#text(own);
    const base = this.#text(ofAll) ?? (isAsked ? USUAL_ENDPOINT : undefined);
    const text = ownText ?? (base === undefined ? undefined : `${base.replace(/\/+$/, "")}/v1/${signal.toLowerCase()}`);
    if (text === undefined) return undefined;
    if (/^https?:\/\//i.test(text) && URL.canParse(text)) return text;
    // It may hold a password.
    this.warnings.push(`${ownText === undefined ? ofAll : own} is no http:// or https:// address: nothing is sent.`);
    return undefined;
  }

  #encoding(signal: Signal): Destination["encoding"] | undefined {
    const given = this.#ofSignal(signal, "PROTOCOL");
    const protocol = given?.text.toLowerCase() ?? "http/protobuf";
    if (protocol === "http/protobuf" || protocol === "http/json") return protocol;
    this.#warn(given?.name ?? "", "only http/protobuf and http/json are; nothing is sent.");
    return undefined;
  }

  /** The signal's own variable, else the one for all signals. */
  #ofSignal(signal: Signal, kind: string): { readonly name: string; readonly text: string } | undefined {
    for (const name of [`OTEL_EXPORTER_OTLP_${signal}_${kind}`, `OTEL_EXPORTER_OTLP_${kind}`]) {
      const text = this.#text(name);
      if (text !== undefined) return { name, text };
    }
    return undefined;
  }

  #text(name: string): string | undefined {
    return this.#env[name]?.trim() || undefined;
  }

  #warn(name: string, instead: string): void {
    const warning = `${name}=${(this.#env[name] ?? "").slice(0, 80)} is not supported: ${instead}`;
    if (!this.warnings.includes(warning)) this.warnings.push(warning);
  }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
