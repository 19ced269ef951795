import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { HumanMessage, ToolMessage, type AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
beforeEach(() => {
  demo = startDemoRelay();
});
afterEach(async () => {
  expect(demo.backend.refusals).toEqual([]);
  await demo.stop();
});

const weather = tool(() => "rain", {
  name: "get_weather",
  description: "Weather of a city",
  schema: z.object({ city: z.string() }),
});

describe.each([
  ["Chat Completions", false],
  ["Responses", true],
])("LangChain over %s", (_wire, useResponsesApi) => {
  const model = () =>
    new ChatOpenAI({
      model: "gpt-5.5",
      apiKey: "any",
      temperature: 0,
      useResponsesApi,
      maxRetries: 0,
      configuration: { baseURL: demo.v1 },
    });

  test("runs a tool loop", async () => {
    const bound = model().bindTools([weather]);
    const question = new HumanMessage("call get_weather");
    const first = await bound.invoke([question]);
    const [call] = first.tool_calls ?? [];
    expect(call?.name).toBe("get_weather");
    const result = new ToolMessage({ content: "rain", tool_call_id: call?.id ?? "" });
    const second = await bound.invoke([question, first, result]);
    expect(second.text).toContain("rain");
  });

  test("streams to the same text", async () => {
    const chunks: AIMessageChunk[] = [];
    for await (const chunk of await model().stream("hello")) chunks.push(chunk);
    const whole = chunks.slice(1).reduce((one, next) => one.concat(next), chunks[0] as AIMessageChunk);
    expect(whole.text).toContain("Hello!");
    expect(JSON.stringify(whole.usage_metadata)).toMatch(/"total_tokens":[1-9]/);
  });

  test("answers in a form", async () => {
    const shaped = await model()
      .withStructuredOutput(z.object({ name: z.string() }))
      .invoke("who?");
    expect(shaped.name).toBeString();
  });
});
