/** Cases of @openai/agents over both of OpenAI's APIs. */
import { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";
import { BASE, check, MODEL, run } from "./harness.mjs";

const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: "any", maxRetries: 0 });
const runner = new Runner({ tracingDisabled: true });
const weather = tool({
  name: "get_weather",
  description: "The weather of a city",
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => `rain in ${city}`,
});

function casesOver(api, model) {
  const agentOf = (more = {}) => new Agent({ name: "one", instructions: "Be brief.", model, ...more });
  return {
    async [`${api}: an answer`]() {
      const { finalOutput } = await runner.run(agentOf(), "hello one");
      check(finalOutput.includes("hello one"), finalOutput);
    },
    async [`${api}: an answer piece by piece`]() {
      const result = await runner.run(agentOf(), "hello two", { stream: true });
      let text = "";
      for await (const piece of result.toTextStream()) text += piece;
      await result.completed;
      check(text.includes("hello two"), text);
    },
    async [`${api}: a tool`]() {
      const { finalOutput } = await runner.run(agentOf({ tools: [weather] }), "What is the weather in Paris?");
      check(finalOutput.includes("rain in Paris"), finalOutput);
    },
    async [`${api}: a tool, streamed, then a second question`]() {
      const agent = agentOf({ tools: [weather] });
      const first = await runner.run(agent, "What is the weather in Paris?", { stream: true });
      for await (const _ of first);
      await first.completed;
      const second = await runner.run(agent, [...first.history, { role: "user", content: "hello three" }]);
      check(second.finalOutput.includes("hello three"), second.finalOutput);
    },
    async [`${api}: a handoff`]() {
      const second = agentOf({ name: "second" });
      const result = await runner.run(agentOf({ handoffs: [second] }), "call transfer_to_second");
      check(result.lastAgent?.name === "second", result.lastAgent?.name);
    },
    async [`${api}: an answer by a schema`]() {
      const outputType = z.object({ name: z.string(), age: z.number() });
      const { finalOutput } = await runner.run(agentOf({ outputType }), "a person");
      check(typeof finalOutput.name === "string" && typeof finalOutput.age === "number", JSON.stringify(finalOutput));
    },
    async [`${api}: settings of a model`]() {
      const modelSettings = { maxTokens: 200, parallelToolCalls: false, reasoning: { effort: "low" }, store: false };
      const { finalOutput } = await runner.run(agentOf({ modelSettings }), "hello four");
      check(finalOutput.includes("hello four"), finalOutput);
    },
  };
}

await run({
  ...casesOver("Responses", new OpenAIResponsesModel(client, MODEL)),
  ...casesOver("Chat Completions", new OpenAIChatCompletionsModel(client, MODEL)),
});
