import { afterEach, beforeEach, expect, test } from "bun:test";
import { CommandHome } from "../support/cli.ts";
import { fakeCodex, says, type FakeCodex } from "../support/fake-codex.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { chatBody, post } from "../support/relay.ts";
import { jwt } from "../support/token-server.ts";

let home: CommandHome;
let backend: FakeCodex;
let collector: OtlpReceiver;

beforeEach(() => {
  backend = fakeCodex(says("hello"));
  collector = new OtlpReceiver();
  home = new CommandHome({ PLANSOCKET_BASE_URL: backend.baseUrl, CODEX_ACCESS_TOKEN: jwt({ exp: 4_000_000_000 }) });
});
afterEach(async () => {
  await collector.stop();
  await backend.stop();
  home.remove();
});

/** Starts a relay with these variables, asks it once and stops it; what it said. */
async function askedOnce(env: Record<string, string>, flags: readonly string[] = []): Promise<string> {
  const serve = home.start(["serve", "--port", "0", "--transport", "http", ...flags], env);
  const [, url = ""] = await serve.says(/listens on (\S+)/);
  expect(await (await post(`${url}/v1/chat/completions`, chatBody())).text()).toContain("hello");
  serve.kill("SIGTERM");
  const { code, out, err } = await serve.ended;
  expect(code).toBe(0);
  return out + err;
}

test("what was not sent yet is sent at a stop, under the owner's name for the relay", async () => {
  await askedOnce({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test,service.name=other",
    OTEL_SERVICE_NAME: "my-relay",
  });
  expect(collector.spans.map(({ name }) => name).toSorted()).toEqual(["POST /v1/chat/completions", "chat gpt-5.5"]);
  expect(collector.spans[0]?.resource).toMatchObject({
    "service.name": "my-relay",
    "deployment.environment.name": "test",
    "service.instance.id": expect.any(String),
  });
  expect(collector.points("gen_ai.client.operation.duration")).toHaveLength(1);
}, 30_000);

test("it goes through the relay's proxy, but not to hosts that need none", async () => {
  const asked: string[] = [];
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => (asked.push(request.url), Response.json({})),
  });
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.invalid:4318",
    HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
  };
  await askedOnce(env);
  expect(asked.toSorted()).toEqual([
    "http://collector.invalid:4318/v1/metrics",
    "http://collector.invalid:4318/v1/traces",
  ]);
  const said = await askedOnce({ ...env, NO_PROXY: ".invalid" });
  expect(asked).toHaveLength(2);
  expect(said).toContain("Traces do not arrive at collector.invalid:4318: ");
  await proxy.stop(true);
}, 30_000);

test("variables that are not supported are told, and the relay serves", async () => {
  const said = await askedOnce({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" });
  expect(said).toContain("OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported");
  await askedOnce({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SDK_DISABLED: "true" });
  expect(collector.posts).toEqual([]);
}, 30_000);
