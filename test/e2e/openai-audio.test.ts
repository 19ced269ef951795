import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
let openai: OpenAI;

beforeAll(() => {
  demo = startDemoRelay();
  openai = new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
});
afterEach(() => {
  expect(demo.backend.refusals).toEqual([]);
});
afterAll(() => demo.stop());

const SAID = "This is the stand-in's transcript.";
const sound = () => toFile(Buffer.from("ID3 no sound at all"), "speech.mp3", { type: "audio/mpeg" });

test("audio.transcriptions.create in its forms", async () => {
  const { data: json, response } = await openai.audio.transcriptions
    .create({ file: await sound(), model: "whisper-1", language: "en" })
    .withResponse();
  expect(json).toEqual({ text: SAID });
  expect(response.headers.get("x-plansocket-adjusted")).toBe("language, model");
  const text = await openai.audio.transcriptions.create({
    file: await sound(),
    model: "whisper-1",
    response_format: "text",
  });
  expect(text).toBe(`${SAID}\n`);
  const verbose = await openai.audio.transcriptions.create({
    file: await sound(),
    model: "whisper-1",
    response_format: "verbose_json",
  });
  expect(verbose.text).toBe(SAID);
});

test("streamed", async () => {
  const stream = await openai.audio.transcriptions.create({
    file: await sound(),
    model: "gpt-4o-transcribe",
    stream: true,
  });
  const events: string[] = [];
  for await (const event of stream) {
    events.push(event.type);
    if (event.type === "transcript.text.done") expect(event.text).toBe(SAID);
  }
  expect(events).toEqual(["transcript.text.delta", "transcript.text.done"]);
});

test("the backend gets the file and the prompt, and of headers only the barest", async () => {
  await openai.audio.transcriptions.create({ file: await sound(), model: "whisper-1", prompt: "names: Ada" });
  const asked = demo.backend.requests.findLast(({ path }) => path === "/backend-api/transcribe");
  expect(asked?.body).toContain('name="file"; filename="speech.mp3"');
  expect(asked?.body).toContain("names: Ada");
  expect(asked?.headers["content-type"]).toStartWith("multipart/form-data; boundary=");
  expect(["originator", "session-id", "version"].map((name) => asked?.headers[name])).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(["authorization", "chatgpt-account-id", "user-agent"].every((name) => asked?.headers[name])).toBe(true);
});

test("a form is sent whole again after an overload", async () => {
  const overloaded = { error: { code: "server_is_overloaded", message: "busy" } };
  demo.backend.scriptEndpoints({ kind: "http", status: 503, body: overloaded });
  expect((await openai.audio.transcriptions.create({ file: await sound(), model: "whisper-1" })).text).toBe(SAID);
});

test("what cannot be had is refused, with the reason", async () => {
  const thrownBy = (call: PromiseLike<unknown>): Promise<unknown> =>
    Promise.resolve(call).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  const file = await sound();
  const subtitles = openai.audio.transcriptions.create({ file, model: "whisper-1", response_format: "vtt" });
  expect(await thrownBy(subtitles)).toMatchObject({ status: 400, param: "response_format", code: "unsupported_value" });
  demo.backend.scriptEndpoints({ kind: "http", status: 404, body: { detail: "Not Found" } });
  const unheard = openai.audio.transcriptions.create({ file, model: "whisper-1" });
  expect(await thrownBy(unheard)).toMatchObject({ status: 501, code: "not_implemented" });
  const translated = openai.audio.translations.create({ file, model: "whisper-1" });
  expect(await thrownBy(translated)).toMatchObject({ status: 501, code: "not_implemented" });
  const json = await fetch(`${demo.v1}/audio/transcriptions`, { method: "POST", body: "{}" });
  expect(json.status).toBe(415);
});
