import { describe, expect, test } from "bun:test";
import { telemetrySettings } from "../../src/telemetry/settings.ts";

const HERE = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

describe("whether anything is sent", () => {
  const nothing: Record<string, Record<string, string>> = {
    "no variable": {},
    "others of the kind": { OTEL_SERVICE_NAME: "relay", OTEL_TRACES_SAMPLER: "always_on" },
    disabled: { ...HERE, OTEL_SDK_DISABLED: "TRUE" },
    "no exporter": { ...HERE, OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" },
    "an empty endpoint": { OTEL_EXPORTER_OTLP_ENDPOINT: "" },
  };
  test.each(Object.entries(nothing))("%s: nothing", (_name, env) => {
    expect(telemetrySettings(env)).toBeUndefined();
  });

  test("an endpoint for all: both signals, each on its path", () => {
    const { traces, metrics } = telemetrySettings(HERE) ?? {};
    expect([traces?.url, metrics?.url]).toEqual([
      "http://collector:4318/v1/traces",
      "http://collector:4318/v1/metrics",
    ]);
    expect(traces).toMatchObject({ encoding: "http/protobuf", headers: {}, isCompressed: false, timeoutMs: 10_000 });
  });

  test("a path before the signal's own is kept", () => {
    const { traces } = telemetrySettings({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://host/otlp/" }) ?? {};
    expect(traces?.url).toBe("https://host/otlp/v1/traces");
  });

  test("a signal's own endpoint is taken as it is, and speaks for that signal alone", () => {
    const settings = telemetrySettings({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector/spans" });
    expect([settings?.traces?.url, settings?.metrics]).toEqual(["http://collector/spans", undefined]);
  });

  test("an exporter alone sends to this machine", () => {
    const settings = telemetrySettings({ OTEL_METRICS_EXPORTER: "otlp" });
    expect([settings?.traces, settings?.metrics?.url]).toEqual([undefined, "http://localhost:4318/v1/metrics"]);
  });
});

test("a signal's own variables come before those for all; headers come together", () => {
  const settings = telemetrySettings({
    ...HERE,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20a%3Db,x-tenant=one",
    OTEL_EXPORTER_OTLP_METRICS_HEADERS: "x-tenant=two",
    OTEL_EXPORTER_OTLP_TIMEOUT: "3000",
    OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "1000",
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    OTEL_EXPORTER_OTLP_CERTIFICATE: "/ca.pem",
    OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: "/key.pem",
  });
  expect(settings?.traces).toEqual({
    url: "http://collector:4318/v1/traces",
    encoding: "http/protobuf",
    headers: { authorization: "Bearer a=b", "x-tenant": "one" },
    isCompressed: true,
    timeoutMs: 3000,
    tls: { ca: "/ca.pem", key: "/key.pem" },
  });
  expect(settings?.metrics).toEqual({
    url: "http://collector:4318/v1/metrics",
    encoding: "http/json",
    headers: { authorization: "Bearer a=b", "x-tenant": "two" },
    isCompressed: true,
    timeoutMs: 1000,
    tls: { ca: "/ca.pem" },
  });
  expect(settings?.warnings).toEqual([]);
});

test("the service's name comes before an attribute of the same name", () => {
  const env = { ...HERE, OTEL_RESOURCE_ATTRIBUTES: "service.name=a,team=models%20and%20more" };
  expect(telemetrySettings(env)?.resource).toEqual({ "service.name": "a", team: "models and more" });
  expect(telemetrySettings({ ...env, OTEL_SERVICE_NAME: "b" })?.resource).toMatchObject({ "service.name": "b" });
});

test("the sampler and its share", () => {
  const env = { ...HERE, OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" };
  expect(telemetrySettings(env)?.sampler).toEqual({ name: "parentbased_traceidratio", ratio: 0.25 });
  expect(telemetrySettings(HERE)?.sampler).toEqual({ name: "parentbased_always_on", ratio: 1 });
});

describe("what cannot be done is said, and the rest holds", () => {
  const told: Record<string, [Record<string, string>, RegExp]> = {
    gRPC: [
      { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
      /^OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported: .*nothing is sent\.$/,
    ],
    "another exporter": [{ OTEL_TRACES_EXPORTER: "zipkin" }, /^OTEL_TRACES_EXPORTER=zipkin is not supported/],
    "another sampler": [{ OTEL_TRACES_SAMPLER: "jaeger_remote" }, /it stays at parentbased_always_on/],
    "a share above one": [{ OTEL_TRACES_SAMPLER_ARG: "2" }, /from 0 to 1/],
    "a time that is none": [{ OTEL_METRIC_EXPORT_INTERVAL: "1m" }, /it stays at 60000/],
    "a time beyond all timers": [{ OTEL_BSP_SCHEDULE_DELAY: "99999999999" }, /it stays at 5000/],
    "half a pair": [{ OTEL_RESOURCE_ATTRIBUTES: "team" }, /no KEY=VALUE/],
  };
  test.each(Object.entries(told))("%s", (_name, [env, words]) => {
    const { warnings = [] } = telemetrySettings({ ...HERE, ...env }) ?? {};
    expect(warnings).toEqual([expect.stringMatching(words)]);
  });

  test("a header or an address that may hold a secret is not repeated", () => {
    const { warnings = [] } =
      telemetrySettings({
        OTEL_EXPORTER_OTLP_ENDPOINT: "user:s3cret@collector",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://collector",
        OTEL_EXPORTER_OTLP_HEADERS: "Bearer s3cret",
      }) ?? {};
    expect(warnings).toHaveLength(2);
    expect(warnings.join(" ")).not.toContain("s3cret");
  });
});
