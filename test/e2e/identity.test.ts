import { afterEach, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import { FAULTS } from "../stand-in/faults.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

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
