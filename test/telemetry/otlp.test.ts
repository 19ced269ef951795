import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTelemetry } from "../../src/telemetry/index.ts";
import type { OtlpDependencies } from "../../src/telemetry/otlp.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { createEgress } from "../../src/upstream/egress.ts";
import { certificate } from "../support/certificate.ts";
import { fakeCodex, says } from "../support/fake-codex.ts";
import { keepLines } from "../support/log-lines.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { holdClosedPort } from "../support/ports.ts";
import { chatBody, eventually, post, startTestRelay } from "../support/relay.ts";

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop();
});

const TRACES_ALONE = { OTEL_METRICS_EXPORTER: "none", OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };

/** A relay whose spans are sent at once, one batch each. */
async function setUp(env: Record<string, string>, over: Partial<OtlpDependencies> = {}) {
  const log = keepLines();
  const asked = { OTEL_BSP_SCHEDULE_DELAY: "1", ...TRACES_ALONE, ...env };
  const egress = createEgress({ proxy: undefined, noProxy: "" });
  const pauses: number[] = [];
  const sleep = (ms: number) => (pauses.push(ms), Promise.resolve());
  const telemetry = (await openTelemetry(asked, { fetch: egress.fetch, log, sleep, ...over })) as Telemetry;
  const codex = fakeCodex(says("hello"));
  const relay = startTestRelay({ baseUrl: codex.baseUrl, telemetry });
  open.push(codex, relay);
  const ask = async () => {
    const reply = await post(`${relay.url}/v1/chat/completions`, chatBody());
    expect([reply.status, (await reply.text()).includes("hello")]).toEqual([200, true]);
  };
  const told = () =>
    log.lines
      .filter(({ message }) => /^(Traces|Metrics) /.test(message))
      .map(({ level, message }) => `${level}: ${message}`);
  return { ask, telemetry, pauses, told };
}

function receiver(...answers: OtlpReceiver["answers"]): OtlpReceiver {
  const made = new OtlpReceiver();
  if (answers.length > 0) made.answers = answers;
  open.push(made);
  return made;
}

const at = ({ url }: { readonly url: string }) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url });
const refuse =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new Response("no", { status, headers });
const accept = () => Response.json({});

describe("how batches are sent", () => {
  test("headers of the owner's, and gzip", async () => {
    const collector = receiver();
    const env = { OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=one", OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" };
    const { ask, telemetry } = await setUp({ ...at(collector), ...env });
    await ask();
    await telemetry.close();
    expect(collector.posts[0]?.headers.get("x-tenant")).toBe("one");
    expect(collector.posts[0]?.headers.get("content-encoding")).toBe("gzip");
    expect(collector.spans).toHaveLength(2);
  });

  test("as protobuf unless JSON is asked for", async () => {
    const collector = receiver();
    const { ask, telemetry } = await setUp({ ...at(collector), OTEL_EXPORTER_OTLP_PROTOCOL: "" });
    await ask();
    await telemetry.close();
    const [sent] = collector.posts;
    expect(sent?.headers.get("content-type")).toBe("application/x-protobuf");
    // Field 1 of the request, its spans of one resource, with the length of all the rest.
    const bytes = Buffer.from(sent?.bytes ?? []);
    expect(bytes[0]).toBe(0x0a);
    expect(bytes.toString("latin1")).toContain("POST /v1/chat/completions");
  });

  test("metrics at their interval, and as they grew since the last where that is asked for", async () => {
    const collector = receiver();
    const env = { OTEL_METRICS_EXPORTER: "otlp", OTEL_TRACES_EXPORTER: "none", OTEL_METRIC_EXPORT_INTERVAL: "20" };
    const delta = { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta" };
    const { ask, telemetry } = await setUp({ ...at(collector), ...env, ...delta });
    const count = () => collector.points("http.server.request.duration").map((point) => point.count);
    await ask();
    await eventually(() => count().length > 0);
    await ask();
    await telemetry.close();
    expect(count()).toEqual([1]);
    expect(collector.posts.every(({ path }) => path === "/v1/metrics")).toBe(true);
  });

  test("the collector's authority is the one that the owner names, and no other host is believed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "plansocket-otlp-"));
    const { cert, key, authority } = certificate(folder, ["localhost"], ["127.0.0.1"]);
    let posts = 0;
    const tls = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert, key },
      fetch: () => ((posts += 1), accept()),
    });
    open.push({ stop: async () => (await tls.stop(true), rmSync(folder, { recursive: true })) });
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: `https://127.0.0.1:${tls.port}` };
    const trusting = await setUp({ ...endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE: authority });
    await trusting.ask();
    await trusting.telemetry.close();
    expect([posts, trusting.told()]).toEqual([1, []]);
    const other = await setUp(endpoint, { closeMs: 1 });
    await other.ask();
    await other.telemetry.close();
    expect([posts, other.told().length]).toEqual([1, 1]);
  });

  test("a file that is not there is told, and harms nothing", async () => {
    const collector = receiver();
    const { ask, telemetry, told } = await setUp({ ...at(collector), OTEL_EXPORTER_OTLP_CERTIFICATE: "/no/such.pem" });
    await ask();
    await telemetry.close();
    expect(told()).toEqual([expect.stringContaining("ENOENT")]);
    expect(collector.posts).toEqual([]);
  });
});

describe("a collector that does not take it", () => {
  test("is away: answers go on, it is told once, and once more when it is back", async () => {
    const collector = receiver(refuse(500), refuse(500), accept);
    const { ask, telemetry, told } = await setUp(at(collector));
    for (let round = 1; round <= 4; round += 1) {
      await ask();
      await eventually(() => collector.posts.length === round);
    }
    await telemetry.close();
    const { host } = new URL(collector.url);
    expect(told()).toEqual([
      `warn: Traces do not arrive at ${host}: it answers 500. Requests are answered as ever; this is said once until it works again.`,
      `info: Traces arrive at ${host} again.`,
    ]);
  });

  test("takes metrics and no spans: only those are told, and once", async () => {
    const collector = receiver(({ path }) => (path === "/v1/traces" ? refuse(404)() : accept()));
    const env = { OTEL_METRICS_EXPORTER: "otlp", OTEL_METRIC_EXPORT_INTERVAL: "5" };
    const { ask, telemetry, told } = await setUp({ ...at(collector), ...env });
    const count = (wanted: string) => collector.posts.filter(({ path }) => path === wanted).length;
    for (let round = 1; round <= 3; round += 1) {
      await ask();
      const metrics = count("/v1/metrics");
      await eventually(() => count("/v1/traces") === round && count("/v1/metrics") > metrics);
    }
    await telemetry.close();
    expect(told()).toEqual([expect.stringContaining("warn: Traces do not arrive")]);
  });

  test("nobody listens there: tried again a few times, then given up", async () => {
    await using closed = await holdClosedPort();
    const { ask, telemetry, told, pauses } = await setUp(at(closed));
    await ask();
    await telemetry.close();
    expect(told()).toEqual([expect.stringContaining("it cannot be reached (ECONNREFUSED)")]);
    expect(pauses).toEqual([1000, 1500, 2250, 3375]);
  });

  test("is busy: the batch comes again when it says", async () => {
    const collector = receiver(refuse(503, { "retry-after": "3" }), refuse(429), accept);
    const { ask, telemetry, told, pauses } = await setUp(at(collector));
    await ask();
    await telemetry.close();
    expect([collector.posts.length, pauses, told()]).toEqual([3, [3000, 1500], []]);
    expect(collector.posts[2]?.bytes).toEqual(collector.posts[0]?.bytes as Uint8Array);
  });

  test("asks for more patience than there is time: the batch is let go", async () => {
    const collector = receiver(refuse(503, { "retry-after": "60" }), accept);
    const { ask, telemetry, told, pauses } = await setUp(at(collector));
    await ask();
    await telemetry.close();
    expect([collector.posts.length, pauses]).toEqual([1, []]);
    expect(told()).toEqual([expect.stringContaining("it answers 503")]);
  });

  test.each([400, 401, 404, 302])("refuses with %d: not tried again", async (status) => {
    const collector = receiver(refuse(status, { location: "http://127.0.0.1:9/" }));
    const { ask, telemetry, told } = await setUp(at(collector));
    await ask();
    await telemetry.close();
    expect(collector.posts).toHaveLength(1);
    expect(told()).toEqual([expect.stringContaining(`it answers ${status}`)]);
    expect(told()[0]?.includes("OTEL_EXPORTER_OTLP_HEADERS")).toBe(status === 401);
  });

  test("keeps silent: a stop does not wait for it", async () => {
    const collector = receiver(() => new Promise<Response>(() => {}));
    const { ask, telemetry, told } = await setUp(at(collector), { closeMs: 1 });
    await ask();
    await eventually(() => collector.posts.length === 1);
    await ask();
    await telemetry.close();
    expect(told()).toEqual([expect.stringContaining("did not answer before the relay stopped")]);
  });

  test("answers with what is no OTLP, or with too much: it has taken the batch all the same", async () => {
    const collector = receiver(
      () => new Response("<html>"),
      () => new Response("x".repeat(1_000_000), { headers: { "content-type": "application/json" } }),
    );
    const { ask, telemetry, told } = await setUp(at(collector));
    for (let round = 1; round <= 2; round += 1) {
      await ask();
      await eventually(() => collector.posts.length === round);
    }
    await telemetry.close();
    expect(told()).toEqual([]);
  });

  test("drops a part of every batch: that is told once", async () => {
    const part = { partialSuccess: { rejectedSpans: 1, errorMessage: "too old" } };
    const collector = receiver(() => Response.json(part));
    const { ask, telemetry, told } = await setUp(at(collector));
    for (let round = 1; round <= 3; round += 1) {
      await ask();
      await eventually(() => collector.posts.length === round);
    }
    await telemetry.close();
    expect(told()).toEqual([expect.stringContaining("it takes only a part (too old)")]);
  });
});

test("more than the queue holds is let go, and the relay's memory with it", async () => {
  const held = Promise.withResolvers<Response>();
  const collector = receiver(() => held.promise, accept);
  const { ask, telemetry } = await setUp({ ...at(collector), OTEL_BSP_MAX_QUEUE_SIZE: "4" });
  for (let round = 0; round < 10; round += 1) await ask();
  held.resolve(accept());
  await telemetry.close();
  // Two spans a request: the first batch, and what waited behind it.
  expect(collector.spans.length).toBeLessThanOrEqual(8);
});

describe("with no variable", () => {
  const loaded = async (env: Record<string, string>) => {
    const script = `
      const { openTelemetry } = await import("./src/cli/services.ts");
      const egress = { fetch };
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      await openTelemetry({ egress, log }, process.env);
      console.log(Object.keys(require.cache).filter((path) => /opentelemetry|src.telemetry/.test(path)).length);
      process.exit(0);`;
    const root = join(import.meta.dir, "../..");
    const child = Bun.spawn([process.execPath, "-e", script], { cwd: root, env: { ...env, PATH: "" }, stdout: "pipe" });
    return Number(await new Response(child.stdout).text());
  };

  test("nothing of OpenTelemetry is loaded; with variables that ask for nothing no SDK is", async () => {
    expect(await loaded({})).toBe(0);
    const asked = await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" });
    expect(asked).toBeGreaterThan(20);
    for (const nothing of [{ OTEL_SERVICE_NAME: "x" }, { OTEL_SDK_DISABLED: "true", OTEL_TRACES_EXPORTER: "otlp" }]) {
      expect(await loaded(nothing as Record<string, string>)).toBeLessThan(4);
    }
  });
});
