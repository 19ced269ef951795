import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
let client: OpenAI;
beforeEach(() => {
  demo = startDemoRelay();
  client = new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
});
afterEach(async () => {
  expect(demo.backend.refusals).toEqual([]);
  await demo.stop();
});

const runner = () => new Runner({ tracingDisabled: true });

describe.each([
  ["Responses", () => new OpenAIResponsesModel(client as never, "gpt-5.5")],
  ["Chat Completions", () => new OpenAIChatCompletionsModel(client as never, "gpt-5.5")],
])("an agent over %s", (_wire, model) => {
  test("uses its tool and answers", async () => {
    const asked: string[] = [];
    const weather = tool({
      name: "get_weather",
      description: "Weather of a city",
      parameters: z.object({ city: z.string() }),
      execute: ({ city }) => {
        asked.push(city);
        return "rain";
      },
    });
    const agent = new Agent({ name: "one", instructions: "be brief", model: model(), tools: [weather] });
    const result = await runner().run(agent, "call get_weather");
    expect(asked).toHaveLength(1);
    expect(result.finalOutput).toContain("rain");
  });

  test("hands over to another, streamed", async () => {
    const second = new Agent({ name: "second", instructions: "answer", model: model() });
    const first = new Agent({ name: "first", instructions: "hand over", model: model(), handoffs: [second] });
    const result = await runner().run(first, "call transfer_to_second", { stream: true });
    for await (const _ of result);
    await result.completed;
    expect(result.lastAgent?.name).toBe("second");
    expect(result.finalOutput).not.toBe("");
  });
});
