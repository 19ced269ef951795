import { afterEach, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import { FAULTS } from "../stand-in/faults.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { dataOf, post } from "../support/relay.ts";

let demo: DemoRelay;
afterEach(() => demo.stop());

const client = () => new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
const ask = () => client().chat.completions.create({ model: "gpt-5.5", messages: [{ role: "user", content: "hi" }] });

test("the backend is told the Codex CLI's own name unless --originator says another", async () => {
  demo = startDemoRelay();
  await ask();
  const headers = demo.backend.requests.at(-1)?.headers;
  expect(headers?.["originator"]).toBe("codex_cli_rs");
  expect(headers?.["user-agent"]).toStartWith("codex_cli_rs/");
});

test("--originator changes the name on every call, in both places", async () => {
  demo = startDemoRelay({ upstream: { originator: "my_relay" } });
  await ask();
  await client().images.generate({ prompt: "a fox" });
  for (const { path, headers } of demo.backend.requests) {
    expect([path, headers["originator"]]).toEqual([path, "my_relay"]);
    expect(headers["user-agent"]).toStartWith("my_relay/");
  }
  expect(demo.backend.refusals).toEqual([]);
});

test("transcription says that its endpoint checks TLS handshakes, and what to use instead (contract 0.18)", async () => {
  demo = startDemoRelay();
  demo.backend.scriptEndpoints(FAULTS.cloudflare.script());
  const file = await toFile(new Uint8Array(64), "a.wav", { type: "audio/wav" });
  const asked = client().audio.transcriptions.create({ file, model: "whisper-1" });
  const error: unknown = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(String(error)).toContain("refused this program's TLS handshake");
  expect(String(error)).toContain("local Whisper server");
  expect(demo.backend.requests.filter(({ path }) => path.endsWith("/transcribe"))).toHaveLength(1);
});

test.each(["self_serve_business_usage_based", "enterprise_cbp_usage_based", "ent26", "a_plan_of_tomorrow"])(
  "the plan %s is taken as it is called (contract 0.22)",
  async (plan) => {
    demo = startDemoRelay({}, {}, { plan });
    const { response } = await client()
      .chat.completions.create({ model: "gpt-5.5", messages: [{ role: "user", content: "hi" }] })
      .withResponse();
    expect([response.status, response.headers.get("x-codex-plan-type")]).toEqual([200, plan]);
  },
);

test("metadata about moderation and verification reaches Codex clients and breaks no other (contract 0.22)", async () => {
  demo = startDemoRelay();
  const metadata = { openai_verification_recommendation: ["trusted_access_for_cyber"], safety_buffering: true };
  const more = [
    { type: "response.metadata", metadata },
    { type: "response.moderation_of_tomorrow", flagged: false },
  ];
  const rewrite = (events: Iterable<Record<string, unknown>>) => [...events].flatMap((event) => [event, ...more]);
  const script = { kind: "answer" as const, rewrite };
  demo.backend.script(script, script, script);
  expect((await ask()).choices[0]?.message.content).toContain("hi");
  const input = [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }];
  const body = { model: "gpt-5.5", instructions: "Be brief.", input, stream: true };
  const typesFor = async (headers: Record<string, string>) => {
    const events = dataOf(await (await post(`${demo.v1}/responses`, body, headers)).text());
    return new Set(events.map((event) => (event as { type?: string }).type));
  };
  expect([...(await typesFor({}))]).not.toContain("response.metadata");
  const cli = await typesFor({ originator: "codex_exec" });
  for (const { type } of more) expect([...cli]).toContain(type);
});

test("the README says what the official way allows, and that it is not used (contract 0.24)", async () => {
  const readme = await Bun.file(new URL("../../README.md", import.meta.url)).text();
  expect(readme).toMatch(/"Sign in with ChatGPT".*forbid general-purpose API access.*does not use that offer/);
});
