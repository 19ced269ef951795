import { isObject, type JsonObject } from "../../src/lib/json.ts";

/** A span as a collector got it, its attributes by name. */
export interface ReceivedSpan {
  readonly name: string;
  readonly kind: "server" | "client";
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** True for spans that say that something failed. */
  readonly isError: boolean;
  readonly attributes: JsonObject;
  readonly events: readonly { readonly name: string; readonly attributes: JsonObject }[];
  readonly resource: JsonObject;
}

/** One series of a histogram. */
export interface ReceivedPoint {
  readonly attributes: JsonObject;
  readonly count: number;
  readonly sum: number;
  readonly bounds: readonly number[];
}

/** One POST as it came. */
export interface ReceivedPost {
  readonly path: string;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

type Answer = (post: ReceivedPost) => Response | Promise<Response>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);
const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

/** A collector on loopback that keeps what it gets. */
export class OtlpReceiver {
  readonly posts: ReceivedPost[] = [];
  readonly #server;
  /** Says how posts are answered, in order; the last one serves all further. */
  answers: Answer[] = [() => Response.json({})];

  constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (request) => {
        const bytes = new Uint8Array(await request.arrayBuffer());
        const post = { path: new URL(request.url).pathname, headers: request.headers, bytes };
        this.posts.push(post);
        const answer = this.answers[Math.min(this.posts.length, this.answers.length) - 1];
        return answer?.(post) ?? new Response();
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** All spans so far that came as JSON. */
  get spans(): ReceivedSpan[] {
    return this.posts.filter(({ path }) => path === "/v1/traces").flatMap((post) => spansIn(jsonOf(post)));
  }

  /** The newest series of a metric that came as JSON. */
  points(name: string): ReceivedPoint[] {
    const posts = this.posts.filter(({ path }) => path === "/v1/metrics");
    return posts.map((post) => pointsIn(jsonOf(post), name)).findLast((points) => points.length > 0) ?? [];
  }

  /** The newest values of a gauge that came as JSON, by their labels. */
  gauge(name: string): { attributes: JsonObject; value: number }[] {
    const posts = this.posts.filter(({ path }) => path === "/v1/metrics");
    return posts.map((post) => gaugeIn(jsonOf(post), name)).findLast((values) => values.length > 0) ?? [];
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }
}

function jsonOf({ headers, bytes }: ReceivedPost): JsonObject {
  const plain = headers.get("content-encoding") === "gzip" ? Bun.gunzipSync(new Uint8Array(bytes)) : bytes;
  return object(JSON.parse(new TextDecoder().decode(plain)));
}

/** The spans of one ExportTraceServiceRequest in JSON. */
export function spansIn(request: JsonObject): ReceivedSpan[] {
  return list(request["resourceSpans"]).flatMap((entry) =>
    list(entry["scopeSpans"]).flatMap(({ spans }) =>
      list(spans).map((span) => ({
        name: text(span["name"]),
        kind: span["kind"] === 2 ? ("server" as const) : ("client" as const),
        traceId: text(span["traceId"]),
        spanId: text(span["spanId"]),
        parentSpanId: text(span["parentSpanId"]),
        isError: object(span["status"])["code"] === 2,
        attributes: attributesOf(span),
        events: list(span["events"]).map((event) => ({ name: text(event["name"]), attributes: attributesOf(event) })),
        resource: attributesOf(object(entry["resource"])),
      })),
    ),
  );
}

function metricsIn(request: JsonObject, name: string): JsonObject[] {
  const metrics = list(request["resourceMetrics"]).flatMap((entry) =>
    list(entry["scopeMetrics"]).flatMap((scope) => list(scope["metrics"])),
  );
  return metrics.filter((metric) => metric["name"] === name);
}

function gaugeIn(request: JsonObject, name: string): { attributes: JsonObject; value: number }[] {
  return metricsIn(request, name).flatMap((metric) =>
    list(object(metric["gauge"])["dataPoints"]).map((point) => ({
      attributes: attributesOf(point),
      value: Number(point["asDouble"] ?? point["asInt"]),
    })),
  );
}

/** The series of one histogram in an ExportMetricsServiceRequest in JSON. */
export function pointsIn(request: JsonObject, name: string): ReceivedPoint[] {
  return metricsIn(request, name).flatMap((metric) =>
    list(object(metric["histogram"])["dataPoints"]).map((point) => ({
      attributes: attributesOf(point),
      count: Number(point["count"]),
      sum: Number(point["sum"]),
      bounds: Array.isArray(point["explicitBounds"]) ? point["explicitBounds"].map(Number) : [],
    })),
  );
}

function attributesOf(holder: JsonObject): JsonObject {
  return Object.fromEntries(list(holder["attributes"]).map(({ key, value }) => [String(key), plain(object(value))]));
}

/** OTLP's JSON writes integers as numbers or, as ProtoJSON has it, as text. */
function plain(value: JsonObject): unknown {
  const [[kind, inner] = ["", undefined]] = Object.entries(value);
  if (kind === "intValue") return Number(inner);
  return kind === "arrayValue" ? list(object(inner)["values"]).map(plain) : inner;
}
