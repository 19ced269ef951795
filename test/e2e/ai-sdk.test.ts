import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { created, delta, fakeCodex, refuses, sse } from "../support/fake-codex.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { startTestRelay } from "../support/relay.ts";

let demo: DemoRelay;
beforeAll(() => {
  demo = startDemoRelay();
});
afterEach(() => {
  expect(demo.backend.refusals).toEqual([]);
});
afterAll(() => demo.stop());

const provider = (baseURL: string) =>
  createOpenAICompatible({ name: "relay", baseURL, apiKey: "any", supportsStructuredOutputs: true });

test.each(["gpt-5.5", "gpt-6.1-sol"])("%s: text, streamed with reasoning", async (id) => {
  const result = streamText({ model: provider(demo.v1)(id), prompt: "Say hello." });
  let text = "";
  for await (const part of result.textStream) text += part;
  expect(text).toBeTruthy();
  expect(await result.finishReason).toBe("stop");
  expect((await result.reasoningText) ?? "").not.toBe("");
});

test("a tool loop ends with the tool's result", async () => {
  let calls = 0;
  const { text, steps } = await generateText({
    model: provider(demo.v1)("gpt-5.5"),
    prompt: "Use the lookup tool.",
    stopWhen: stepCountIs(4),
    tools: {
      lookup: tool({
        description: "Look something up",
        inputSchema: z.object({ key: z.string() }),
        execute: ({ key }) => {
          expect(typeof key).toBe("string");
          calls += 1;
          return "FOUND-42";
        },
      }),
    },
  });
  expect(text).toContain("FOUND-42");
  expect([calls, steps.length]).toEqual([1, 2]);
});

test("a structured answer satisfies its schema", async () => {
  const schema = z.object({ title: z.string(), scores: z.array(z.number()).min(1) });
  const { output } = await generateText({
    model: provider(demo.v1)("gpt-5.5"),
    prompt: "Go",
    output: Output.object({ schema }),
  });
  expect(() => schema.parse(output)).not.toThrow();
});

test("a cut stream is an error part", async () => {
  await using backend = fakeCodex(() => sse([created, delta("Hel")]));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const types: string[] = [];
  const result = streamText({ model: provider(`${relay.url}/v1`)("gpt-5.5"), prompt: "hi", onError: () => {} });
  for await (const part of result.fullStream) types.push(part.type);
  expect(types).toContain("error");
});

test("a refusal carries the backend's words", async () => {
  await using backend = fakeCodex(refuses(400, { detail: "Something specific" }));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const attempt = generateText({ model: provider(`${relay.url}/v1`)("gpt-5.5"), prompt: "hi", maxRetries: 0 });
  await expect(attempt).rejects.toThrow("Something specific");
});
