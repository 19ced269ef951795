/** Cases of the AI SDK with the four providers that the relay can stand behind. */
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenResponses } from "@ai-sdk/open-responses";
import {
  embed,
  experimental_transcribe as transcribe,
  generateImage,
  generateText,
  Output,
  stepCountIs,
  streamText,
  tool,
} from "ai";
import { z } from "zod";
import { BASE, check, failure, MODEL, run } from "./harness.mjs";

const settings = { baseURL: `${BASE}/v1`, apiKey: "any" };
const openai = createOpenAI(settings);
const anthropic = createAnthropic(settings);
const compatible = createOpenAICompatible({
  ...settings,
  name: "relay",
  // Without it, it asks for an object in prose that no API takes.
  supportsStructuredOutputs: true,
  includeUsage: true,
});
const open = createOpenResponses({ name: "relay", url: `${BASE}/v1/responses`, apiKey: "any" });

// A pixel.
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==",
  "base64",
);
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => `rain in ${city}`,
  }),
};
const WEATHER = { tools, prompt: "What is the weather in Paris?", stopWhen: stepCountIs(3) };
const person = Output.object({ schema: z.object({ name: z.string(), age: z.number() }) });

/** A stream to its end, its errors thrown. */
async function parts(result) {
  const all = [];
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    all.push(part);
  }
  return all;
}

function casesOver(api, modelOf) {
  const model = modelOf(MODEL);
  const onError = () => {};
  return {
    async [`${api}: an answer`]() {
      const { text, usage, finishReason } = await generateText({ model, prompt: "hello one" });
      check(text.includes("hello one") && usage.totalTokens > 0 && finishReason === "stop", `${text} ${finishReason}`);
    },
    async [`${api}: an answer piece by piece`]() {
      const result = streamText({ model, prompt: "hello two", onError });
      const all = await parts(result);
      const text = all.map((part) => (part.type === "text-delta" ? part.text : "")).join("");
      check(text.includes("hello two") && (await result.usage).outputTokens > 0, text);
    },
    async [`${api}: a tool`]() {
      const { text, steps } = await generateText({ model, ...WEATHER });
      check(steps.length === 2 && text.includes("rain in Paris"), `${steps.length}: ${text}`);
    },
    async [`${api}: a tool, streamed`]() {
      const result = streamText({ model, ...WEATHER, onError });
      await parts(result);
      check((await result.text).includes("rain in Paris"), await result.text);
    },
    async [`${api}: a tool's conversation goes on`]() {
      const first = await generateText({ model, ...WEATHER });
      const user = (content) => ({ role: "user", content });
      const messages = [user(WEATHER.prompt), ...first.response.messages, user("hello three")];
      const { text } = await generateText({ model, tools, messages });
      check(text.includes("hello three"), text);
    },
    async [`${api}: an object by a schema`]() {
      const { output } = await generateText({ model, prompt: "a person", output: person });
      check(typeof output.name === "string" && typeof output.age === "number", JSON.stringify(output));
    },
    async [`${api}: an object by a schema, streamed`]() {
      const result = streamText({ model, prompt: "a person", output: person, onError });
      await parts(result);
      check(typeof (await result.output).name === "string", JSON.stringify(await result.output));
    },
    async [`${api}: an image`]() {
      const image = { type: "file", data: PNG, mediaType: "image/png" };
      const content = [{ type: "text", text: "What is this?" }, image];
      const { text } = await generateText({ model, messages: [{ role: "user", content }] });
      check(text !== "", "no text");
    },
    async [`${api}: settings of a request`]() {
      const fine = { maxOutputTokens: 500, temperature: 0.1, topP: 0.9, stopSequences: ["zzz"], seed: 3 };
      const { text } = await generateText({ model, prompt: "hello four", ...fine });
      check(text.includes("hello four"), text);
    },
    async [`${api}: a limit of tokens ends an answer by length`]() {
      const { finishReason } = await generateText({ model, prompt: "count to 400", maxOutputTokens: 16 });
      check(["length", "stop"].includes(finishReason), finishReason);
    },
    async [`${api}: a model that there is not`]() {
      const error = await failure(() => generateText({ model: modelOf("no-such"), prompt: "x", maxRetries: 0 }));
      check(error.statusCode === 404 && error.message.includes("no-such"), `${error.statusCode} ${error.message}`);
    },
    async [`${api}: an answer that is given up`]() {
      const stop = new AbortController();
      const result = streamText({ model, prompt: "count to 400", abortSignal: stop.signal, onError });
      const seen = [];
      for await (const part of result.fullStream) {
        seen.push(part.type);
        if (part.type === "text-delta") stop.abort();
      }
      check(seen.includes("abort"), seen.slice(-3).join());
    },
  };
}

await run({
  ...casesOver("Responses", (name) => openai.responses(name)),
  ...casesOver("Chat Completions", (name) => openai.chat(name)),
  ...casesOver("Messages", (name) => anthropic(name)),
  ...casesOver("Open Responses", (name) => open(name)),
  ...casesOver("compatible", (name) => compatible(name)),

  async "Completions: an answer"() {
    const { text } = await generateText({ model: openai.completion(MODEL), prompt: "hello" });
    check(text !== "", "no text");
  },
  async "Responses: reasoning"() {
    const options = { openai: { reasoningEffort: "high", reasoningSummary: "auto" } };
    const { reasoningText } = await generateText({ model: openai(MODEL), prompt: "think", providerOptions: options });
    check(reasoningText, "no summary");
  },
  async "Responses: the web's sources"() {
    const search = { web_search: openai.tools.webSearch({}) };
    const { sources } = await generateText({ model: openai(MODEL), prompt: "search the web for bun", tools: search });
    check(sources.length > 0, "no source");
  },
  async "a picture"() {
    const { images } = await generateImage({ model: openai.image("gpt-image-1"), prompt: "a cat", size: "1024x1024" });
    check(images.length === 1, `${images.length} images`);
  },
  async "a transcript"() {
    const { text } = await transcribe({ model: openai.transcription("whisper-1"), audio: new Uint8Array(100) });
    check(text !== "", "no text");
  },
  async "embeddings are refused by name"() {
    const model = openai.embedding("text-embedding-3-small");
    const error = await failure(() => embed({ model, value: "x", maxRetries: 0 }));
    check(/embedding/i.test(error.message), error.message);
  },
});
