import { afterEach, beforeEach, expect, test } from "bun:test";
import OpenAI from "openai";
import { startPlayer, type Player } from "../../src/demo/player.ts";
import { fixedCredentials, startTestRelay, type TestRelay } from "../support/relay.ts";

let player: Player;
let relay: TestRelay;
let openai: OpenAI;

beforeEach(() => {
  player = startPlayer();
  const { OPENAI_ACCESS_TOKEN: accessToken = "", OPENAI_CHATGPT_ACCOUNT_ID: accountId = "" } = player.services.tokens;
  const credentials = fixedCredentials({ accessToken, accountId });
  relay = startTestRelay({ baseUrl: player.baseUrl, credentials });
  openai = new OpenAI({ apiKey: "any", baseURL: `${relay.url}/v1`, maxRetries: 0 });
});
afterEach(async () => {
  await relay.stop();
  await player.stop();
});

const ask = (content: string) =>
  openai.chat.completions.create({ model: "gpt-5.5", messages: [{ role: "user", content }] });

test("demo streams text piece by piece", async () => {
  const stream = await openai.chat.completions.create({
    model: "gpt-5.5",
    stream: true,
    messages: [{ role: "user", content: "deltas:40" }],
  });
  const pieces: string[] = [];
  for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? "");
  expect(pieces.length).toBeGreaterThan(20);
  expect(pieces.join("")).toContain("word39");
});

test("demo calls the client's tools and answers with what they said", async () => {
  const tools = [
    {
      type: "function" as const,
      function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
    },
  ];
  const first = await openai.chat.completions.create({
    model: "gpt-5.5",
    tools,
    tool_choice: "required",
    messages: [{ role: "user", content: "the weather?" }],
  });
  const message = first.choices[0]?.message;
  const call = message?.tool_calls?.[0];
  expect(call).toMatchObject({ function: { name: "get_weather" } });
  const second = await openai.chat.completions.create({
    model: "gpt-5.5",
    tools,
    messages: [
      { role: "user", content: "the weather?" },
      { role: "assistant", tool_calls: message?.tool_calls ?? [] },
      { role: "tool", tool_call_id: call?.id ?? "", content: "sunny" },
    ],
  });
  expect(second.choices[0]?.message.content).toContain("sunny");
});

test("demo makes images, transcripts and structured answers", async () => {
  const image = await openai.images.generate({ prompt: "a fox", n: 2 });
  expect(image.data).toHaveLength(2);
  const file = new File([new Uint8Array(64)], "a.wav", { type: "audio/wav" });
  expect((await openai.audio.transcriptions.create({ file, model: "whisper-1" })).text).toContain("transcript");
  const shaped = await openai.chat.completions.create({
    model: "gpt-5.5",
    messages: [{ role: "user", content: "a city" }],
    response_format: {
      type: "json_schema",
      json_schema: { name: "city", schema: { type: "object", properties: { name: { type: "string" } } } },
    },
  });
  expect(JSON.parse(shaped.choices[0]?.message.content ?? "")).toHaveProperty("name");
});

test.each([
  ["usage_limit", 429],
  ["rate_limit", 429],
  ["overload", 503],
  ["context_length", 400],
  ["model_not_found", 404],
])("demo plays fault:%s as the status that clients expect", async (name, status) => {
  const error = await ask(`fault:${name}`).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OpenAI.APIError);
  expect(error).toMatchObject({ status });
});

test("demo plays a declined request and an answer that was cut by its limit", async () => {
  expect((await ask("fault:refusal")).choices[0]?.message.refusal).toContain("I cannot help");
  expect((await ask("fault:incomplete_length")).choices[0]?.finish_reason).toBe("length");
});

test("a fault with :once is over at the next try", async () => {
  const prompt = "fault:context_length:once";
  expect(await ask(prompt).catch(() => "refused")).toBe("refused");
  expect((await ask(prompt)).choices[0]?.message.content).toContain("Hello!");
});

test("every model that demo lists can be asked", async () => {
  const { data } = await openai.models.list();
  expect(data.length).toBeGreaterThan(3);
  for (const { id } of data) {
    const reply = await openai.chat.completions.create({ model: id, messages: [{ role: "user", content: "say ok" }] });
    expect(reply.choices[0]?.message.content).toContain("ok");
  }
});
