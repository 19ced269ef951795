import type { RefreshCounts } from "../auth/credentials.ts";
import { findModel, type ModelCatalogue } from "../codex/models.ts";
import { windowsOf, type PlanLimits, type PlanWindow } from "../codex/plan-limits.ts";
import type { UpstreamCounts } from "../upstream/client.ts";
import { NAME, VERSION } from "../version.ts";
import { Counter, Histogram, metricText, type Labels, type Sample } from "./prometheus.ts";
import type { RequestRecord } from "./record.ts";

/** In seconds: from a local refusal to the longest answers. */
const LATENCY_BOUNDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const FIRST_TOKEN_BOUNDS = [0.025, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120];

/** Limit of error codes counted by name: the relay's own closed list, and codes of upstream. */
const CODES = 64;
/** Limit of keys counted by name: more than a relay may have at once, for those that come and go. */
const KEYS = 512;
const TOKEN_KINDS = ["input", "cached", "output", "reasoning"] as const;

/** How a shared store is doing. */
export interface StoreState {
  readonly isUp: boolean;
  /** Commands sent to it so far. */
  readonly commands: number;
}

/** What the relay around the counters knows at the moment of a scrape. */
export interface MetricsSnapshot {
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly requestsInFlight: number;
  readonly openStreams: number;
  readonly upstream: Readonly<UpstreamCounts>;
  readonly refreshes: Readonly<RefreshCounts> | undefined;
  /** Whether the caller may know the names of keys. */
  readonly isTrusted: boolean;
  readonly store?: StoreState | undefined;
  /** Left out for callers who may not know how full the plan is. */
  readonly plan: PlanLimits | undefined;
}

/** What requests have cost and how they ended. Counting is a few additions at the end of a request. */
export class Metrics {
  readonly #requests = new Counter("route", "dialect", "status", "code");
  readonly #tokens = new Counter("model", "kind");
  readonly #keyRequests = new Counter("key", "status");
  readonly #keyTokens = new Counter("key", "kind");
  readonly #keys = new Set<string>();
  readonly #latency = new Histogram(LATENCY_BOUNDS, "dialect");
  readonly #firstToken = new Histogram(FIRST_TOKEN_BOUNDS, "dialect");
  readonly #errors = new Map<string, number>();
  readonly #codes = new Set<string>();
  #ok = 0;
  #clientsGone = 0;

  count(record: RequestRecord, catalogue: ModelCatalogue | undefined): void {
    const dialect = record.dialect ?? "none";
    const code = this.#codeOf(record.code);
    this.#requests.add(1, record.start.route ?? "other", dialect, String(record.status), code);
    const failed = record.errorStatus ?? (record.status >= 400 ? record.status : undefined);
    if (failed === undefined) this.#ok += 1;
    else this.#errors.set(String(failed), (this.#errors.get(String(failed)) ?? 0) + 1);
    if (record.hasClientLeft) this.#clientsGone += 1;
    this.#latency.observe(record.totalMs / 1000, dialect);
    if (record.firstTokenMs !== undefined) this.#firstToken.observe(record.firstTokenMs / 1000, dialect);
    const { tokens } = record;
    const key = this.#keyOf(record.key);
    if (key !== undefined) {
      this.#keyRequests.add(1, key, String(failed ?? record.status));
      for (const kind of TOKEN_KINDS) if (tokens && tokens[kind] > 0) this.#keyTokens.add(tokens[kind], key, kind);
    }
    if (!tokens) return;
    const model = knownModel(record.model, catalogue);
    for (const kind of TOKEN_KINDS) if (tokens[kind] > 0) this.#tokens.add(tokens[kind], model, kind);
  }

  /** Requests that have ended. */
  get totals(): { readonly requests: number; readonly errors: number } {
    const errors = [...this.#errors.values()].reduce((sum, count) => sum + count, 0);
    return { requests: this.#ok + errors, errors };
  }

  /** For scripts and `status`. */
  toJson(snapshot: MetricsSnapshot): Record<string, unknown> {
    const { requests, errors } = this.totals;
    return {
      version: VERSION,
      uptime_seconds: uptime(snapshot),
      requests_total: requests,
      requests_ok: this.#ok,
      requests_error: errors,
      errors_by_status: Object.fromEntries(this.#errors),
      requests_in_flight: snapshot.requestsInFlight,
      open_streams: snapshot.openStreams,
      clients_gone: this.#clientsGone,
      tokens: grouped(this.#tokens.samples(), "model", "kind"),
      ...(snapshot.isTrusted && this.#keys.size > 0
        ? {
            requests_by_key: grouped(this.#keyRequests.samples(), "key", "status"),
            tokens_by_key: grouped(this.#keyTokens.samples(), "key", "kind"),
          }
        : {}),
      upstream_retries: snapshot.upstream.retries,
      unknown_events: Object.fromEntries(snapshot.upstream.unknownEvents),
      ignored_data: snapshot.upstream.ignoredData,
      ...(snapshot.store ? { store: { is_up: snapshot.store.isUp, commands: snapshot.store.commands } } : {}),
      ...(snapshot.refreshes ? { token_refreshes: { ...snapshot.refreshes } } : {}),
      ...(snapshot.plan ? { plan_windows: planWindows(snapshot.plan).map(windowAsJson) } : {}),
    };
  }

  /** For Prometheus. */
  toText(snapshot: MetricsSnapshot): string {
    return [
      buildText(),
      metricText(
        "plansocket_requests_total",
        "counter",
        "Requests that have ended, by the status that the client got.",
        this.#requests.samples(),
      ),
      this.#latency.toText("plansocket_request_duration_seconds", "From a request to the end of its reply."),
      this.#firstToken.toText("plansocket_time_to_first_token_seconds", "From a request to the first output."),
      metricText("plansocket_tokens_total", "counter", "Tokens as upstream counts them.", this.#tokens.samples()),
      snapshot.isTrusted ? this.#keyText() : "",
      metricText("plansocket_requests_in_flight", "gauge", "Requests being answered.", snapshot.requestsInFlight),
      metricText("plansocket_open_streams", "gauge", "Streamed replies being sent.", snapshot.openStreams),
      metricText(
        "plansocket_clients_gone_total",
        "counter",
        "Requests whose client left before the end.",
        this.#clientsGone,
      ),
      upstreamText(snapshot),
      storeText(snapshot),
      planText(snapshot),
      processText(snapshot),
    ].join("");
  }

  /** By key: apart from the rest, because what needs no key to be read names none. */
  #keyText(): string {
    const requests = "Requests by the name of their key, and by the status with which they ended.";
    const tokens = "Tokens by the name of the key that they were spent with.";
    return [
      metricText("plansocket_key_requests_total", "counter", requests, this.#keyRequests.samples()),
      metricText("plansocket_key_tokens_total", "counter", tokens, this.#keyTokens.samples()),
    ].join("");
  }

  #keyOf(name: string | undefined): string | undefined {
    if (name === undefined || this.#keys.has(name)) return name;
    if (this.#keys.size >= KEYS) return "other";
    this.#keys.add(name);
    return name;
  }

  #codeOf(code: string | undefined): string {
    if (code === undefined) return "";
    if (!this.#codes.has(code) && (this.#codes.size >= CODES || !/^[a-z0-9_.-]{1,64}$/i.test(code))) return "other";
    this.#codes.add(code);
    return code;
  }
}

function buildText(): string {
  const labels = { name: NAME, version: VERSION, bun: Bun.version };
  return metricText("plansocket_build_info", "gauge", "The build that runs; always 1.", [{ labels, value: 1 }]);
}

function upstreamText({ upstream, refreshes }: MetricsSnapshot): string {
  const unknown = [...upstream.unknownEvents].map(([type, value]) => ({ labels: { type }, value }));
  const renewals = Object.entries(refreshes ?? {}).map(([result, value]) => ({ labels: { result }, value }));
  const retries = "Requests sent to upstream once more.";
  const drift = "Upstream events of types that the relay does not know.";
  return [
    metricText("plansocket_upstream_retries_total", "counter", retries, upstream.retries),
    metricText("plansocket_token_refreshes_total", "counter", "Renewals of the login.", renewals),
    metricText("plansocket_unknown_events_total", "counter", drift, unknown),
    metricText("plansocket_ignored_data_total", "counter", "Upstream data that was no event.", upstream.ignoredData),
  ].join("");
}

function storeText({ store }: MetricsSnapshot): string {
  if (!store) return "";
  return [
    metricText("plansocket_store_up", "gauge", "1 while the shared store can be reached.", store.isUp ? 1 : 0),
    metricText("plansocket_store_commands_total", "counter", "Commands sent to the shared store.", store.commands),
  ].join("");
}

function planText({ plan }: MetricsSnapshot): string {
  const windows = plan ? planWindows(plan) : [];
  const used = windows.map(({ labels, window }) => ({ labels, value: window.usedPercent / 100 }));
  const resets = windows.flatMap(({ labels, window: { resetsAtMs } }) =>
    resetsAtMs === undefined ? [] : [{ labels, value: Math.round(resetsAtMs / 1000) }],
  );
  const end = "When a window of the plan ends, in Unix time.";
  return [
    metricText("plansocket_plan_used_ratio", "gauge", "How much of a window of the plan is used; 1 is all.", used),
    metricText("plansocket_plan_reset_timestamp_seconds", "gauge", end, resets),
    plan?.bankedResets === undefined
      ? ""
      : metricText(
          "plansocket_plan_banked_resets",
          "gauge",
          "Resets that the account may still use up.",
          plan.bankedResets,
        ),
  ].join("");
}

/** Under the names that Prometheus' own client libraries use. */
function processText({ startedAtMs }: MetricsSnapshot): string {
  const { user, system } = process.cpuUsage();
  const start = "Start of the process, in Unix time.";
  return [
    metricText("process_start_time_seconds", "gauge", start, startedAtMs / 1000),
    metricText("process_resident_memory_bytes", "gauge", "Resident memory.", process.memoryUsage.rss()),
    metricText("process_cpu_seconds_total", "counter", "User and system time spent.", (user + system) / 1_000_000),
  ].join("");
}

/** Clients may write anything as a model; only ids that exist become labels. */
export function knownModel(model: string | undefined, catalogue: ModelCatalogue | undefined): string {
  if (model === undefined || !catalogue) return "other";
  return findModel(catalogue, model) || catalogue.published?.includes(model) === true ? model : "other";
}

function uptime({ nowMs, startedAtMs }: MetricsSnapshot): number {
  return Math.floor((nowMs - startedAtMs) / 1000);
}

/** Values by one label, then by another. */
function grouped(samples: readonly Sample[], outer: string, inner: string): Record<string, Record<string, number>> {
  const groups: Record<string, Record<string, number>> = {};
  for (const { labels = {}, value } of samples) (groups[labels[outer] ?? "other"] ??= {})[labels[inner] ?? ""] = value;
  return groups;
}

interface LabelledWindow {
  readonly labels: Labels;
  readonly window: PlanWindow;
}

function planWindows(plan: PlanLimits): LabelledWindow[] {
  return windowsOf(plan).map(({ meter, kind, window }) => ({ labels: { meter: meter.id, window: kind }, window }));
}

/** The windows of the plan by how much of them is used; none where nobody knows. */
export function planUse(plan: PlanLimits | undefined): { meter: string; window: string; used: number }[] {
  if (!plan) return [];
  return windowsOf(plan).map(({ meter, kind, window }) => ({
    meter: meter.id,
    window: kind,
    used: window.usedPercent / 100,
  }));
}

function windowAsJson({ labels, window }: LabelledWindow) {
  return {
    ...labels,
    used_percent: window.usedPercent,
    window_minutes: window.windowMinutes ?? null,
    resets_at: window.resetsAtMs === undefined ? null : new Date(window.resetsAtMs).toISOString(),
  };
}
