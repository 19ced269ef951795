import { afterEach, beforeEach, expect, test } from "bun:test";
import { usePatient } from "../../support/doctor.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";
import { holdClosedPort } from "../../support/ports.ts";

const patient = usePatient();
let collector: OtlpReceiver;
beforeEach(() => {
  patient.writeLogin();
  collector = new OtlpReceiver();
});
afterEach(() => collector.stop());

const examine = async (env: Record<string, string>) => {
  const { code, find } = await patient.examine([], env);
  expect(code).toBe(0);
  return find("telemetry");
};

test("is not looked at where nobody asks for it", async () => {
  expect(await examine({})).toBeUndefined();
  const nothing = { status: "skip", summary: "the OTEL_ variables ask for nothing" };
  expect(await examine({ OTEL_SDK_DISABLED: "true" })).toMatchObject(nothing);
});

test("a collector that takes an empty batch is fine", async () => {
  const { host } = new URL(collector.url);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=one" };
  expect(await examine(env)).toMatchObject({ status: "ok", summary: `${host} takes traces and metrics` });
  const posts = collector.posts.map(({ path, bytes, headers }) => `${path} ${bytes.length} ${headers.get("x-tenant")}`);
  expect(posts.toSorted()).toEqual(["/v1/metrics 0 one", "/v1/traces 0 one"]);
});

test("one that refuses, or is not there, is told with what to look at", async () => {
  collector.answers = [() => new Response("who are you?", { status: 401 })];
  const { host } = new URL(collector.url);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  expect(await examine({ ...env, OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20s3cret-of-mine" })).toEqual({
    id: "telemetry",
    status: "warn",
    summary: `${host}: it answers 401 (see OTEL_EXPORTER_OTLP_HEADERS).`,
    fix: "Check the OTEL_EXPORTER_OTLP_… variables. Requests are answered all the same.",
  });
  await using closed = await holdClosedPort();
  const nowhere = await examine({ OTEL_EXPORTER_OTLP_ENDPOINT: closed.url });
  expect(nowhere?.summary).toBe(`127.0.0.1:${closed.port}: it cannot be reached (ECONNREFUSED).`);
});

test("what is not supported is told", async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
  expect(await examine(env)).toMatchObject({
    status: "warn",
    summary: expect.stringContaining("=grpc is not supported"),
  });
});
