import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { openTelemetry } from "../../src/telemetry/index.ts";
import { completed, created, delta, fakeCodex, sse } from "../support/fake-codex.ts";
import { pointsIn, spansIn } from "../support/otlp-receiver.ts";
import { freePort } from "../support/ports.ts";
import { post, startTestRelay } from "../support/relay.ts";
import { missingFor, prepared } from "./packages.ts";
import type { Suite } from "./suites.ts";

/** OpenTelemetry's own collector with the two parts that the test needs: modules of one release. */
const COLLECTOR: Suite = {
  name: "opentelemetry-collector",
  language: "go",
  packages: [
    ["go.opentelemetry.io/collector/otelcol", "0.161.0"],
    ["go.opentelemetry.io/collector/receiver/otlpreceiver", "0.161.0"],
    ["go.opentelemetry.io/collector/service/telemetry/otelconftelemetry", "0.161.0"],
    ["github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter", "0.161.0"],
    ["go.opentelemetry.io/collector/component", "1.67.0"],
    ["go.opentelemetry.io/collector/confmap/provider/fileprovider", "1.67.0"],
    ["go.opentelemetry.io/collector/exporter", "1.67.0"],
    ["go.opentelemetry.io/collector/receiver", "1.67.0"],
  ],
  script: "collector.go",
};

/** Compiling it takes minutes, getting it hundreds of megabytes: only where somebody asks for it. */
function planOf(): { readonly command: readonly string[] } | { readonly missing: string } {
  if (process.env["SUITES"] === undefined) return { missing: "SUITES is not set" };
  const missing = missingFor(COLLECTOR);
  if (missing !== undefined) return { missing };
  try {
    return { command: prepared(COLLECTOR) };
  } catch (error) {
    return { missing: `it cannot be got: ${error instanceof Error ? error.message : String(error)}` };
  }
}

const USAGE = { input_tokens: 100, output_tokens: 7, total_tokens: 107 };
const model = "gpt-5.5";
const messages = [{ role: "user", content: "hi" }];
const ASKED: readonly [path: string, body: object, operation: string][] = [
  ["/v1/chat/completions", { model, messages }, "chat"],
  ["/v1/responses", { model, input: "hi" }, "chat"],
  ["/v1/completions", { model, prompt: "hi" }, "text_completion"],
  ["/v1/messages", { model, messages, max_tokens: 1000 }, "chat"],
  ["/api/chat", { model, messages }, "chat"],
  ["/api/generate", { model, prompt: "hi" }, "text_completion"],
];

const plan = planOf();
describe.skipIf("missing" in plan)(`OpenTelemetry's collector${"missing" in plan ? ` (${plan.missing})` : ""}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-collector-"));
  const received = join(folder, "received.jsonl");
  let collector: Bun.Subprocess;
  let endpoint: string;

  beforeAll(async () => {
    const port = freePort();
    endpoint = `http://127.0.0.1:${port}`;
    const parts = { receivers: ["otlp"], exporters: ["file"] };
    const config = {
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
      exporters: { file: { path: received } },
      service: { telemetry: { metrics: { level: "none" } }, pipelines: { traces: parts, metrics: parts } },
    };
    writeFileSync(join(folder, "config.yaml"), JSON.stringify(config));
    const [program = ""] = "command" in plan ? plan.command : [];
    const stderr = Bun.file(join(folder, "log"));
    collector = Bun.spawn([program, "--config", join(folder, "config.yaml")], { stdout: "ignore", stderr });
    for (;;) {
      if (collector.exitCode !== null) throw new Error(await stderr.text());
      const empty = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
      if (
        await fetch(`${endpoint}/v1/traces`, empty).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        return;
      await Bun.sleep(20);
    }
  }, 60_000);

  afterAll(async () => {
    collector?.kill();
    await collector?.exited;
    rmSync(folder, { recursive: true, force: true });
  });

  test("takes every dialect's spans and the metrics, in both encodings, compressed or not", async () => {
    const usage = { ...completed, response: { ...completed.response, usage: USAGE } };
    const codex = fakeCodex(() => sse([created, delta("hello"), usage]));
    const warnings: string[] = [];
    const log = { ...SILENT_LOG, warn: (message: string) => void warnings.push(message) };
    for (const protocol of ["http/protobuf", "http/json"]) {
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: "gzip",
        OTEL_SERVICE_NAME: protocol,
      };
      const telemetry = await openTelemetry(env, { fetch, log });
      const relay = startTestRelay({ baseUrl: codex.baseUrl, telemetry });
      for (const [path, body] of ASKED) {
        for (const stream of [true, false]) await (await post(relay.url + path, { ...body, stream })).text();
      }
      await relay.stop();
      await telemetry?.close();
    }
    await codex.stop();
    collector.kill();
    await collector.exited;
    expect(warnings).toEqual([]);
    const batches = readFileSync(received, "utf8").trim().split("\n").map(parseJson).filter(isObject);
    const spans = batches.flatMap(spansIn);
    for (const protocol of ["http/protobuf", "http/json"]) {
      const own = spans.filter(({ resource }) => resource["service.name"] === protocol);
      const servers = own.filter(({ kind }) => kind === "server");
      const twice = (names: readonly string[]) => names.flatMap((name) => [name, name]).toSorted();
      expect(servers.map(({ name }) => name).toSorted()).toEqual(twice(ASKED.map(([path]) => `POST ${path}`)));
      const clients = own.filter(({ kind }) => kind === "client");
      expect(clients.map(({ name }) => name).toSorted()).toEqual(
        twice(ASKED.map(([, , operation]) => `${operation} ${model}`)),
      );
      for (const client of clients) {
        const parent = servers.find(({ spanId }) => spanId === client.parentSpanId);
        expect(parent?.traceId).toBe(client.traceId);
        expect(client.attributes).toMatchObject({
          "gen_ai.usage.input_tokens": 100,
          "gen_ai.usage.output_tokens": 7,
          "gen_ai.response.finish_reasons": ["stop"],
          "gen_ai.response.time_to_first_chunk": expect.any(Number),
        });
      }
      const counts = batches
        .filter((batch) => JSON.stringify(batch["resourceMetrics"] ?? "").includes(`"${protocol}"`))
        .flatMap((batch) => pointsIn(batch, "gen_ai.client.operation.duration"));
      const byOperation = new Map(counts.map(({ attributes, count }) => [attributes["gen_ai.operation.name"], count]));
      expect(byOperation).toEqual(
        new Map([
          ["chat", 8],
          ["text_completion", 4],
        ]),
      );
    }
  }, 60_000);
});
