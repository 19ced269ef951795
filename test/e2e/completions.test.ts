import { afterEach, beforeEach, expect, test } from "bun:test";
import OpenAI from "openai";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
let openai: OpenAI;
beforeEach(() => {
  demo = startDemoRelay();
  openai = new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
});
afterEach(async () => {
  expect(demo.backend.refusals).toEqual([]);
  await demo.stop();
});

const model = "gpt-5.5";

test("text in, text out, streamed and whole", async () => {
  const whole = await openai.completions.create({ model, prompt: "hello" });
  expect(whole).toMatchObject({ object: "text_completion", choices: [{ index: 0, finish_reason: "stop" }] });
  expect(whole.choices[0]?.text).toContain("Hello!");
  expect(whole.usage?.total_tokens).toBeGreaterThan(0);
  let text = "";
  let usage;
  for await (const chunk of await openai.completions.create({
    model,
    prompt: ["hello"],
    stream: true,
    stream_options: { include_usage: true },
  })) {
    text += chunk.choices[0]?.text ?? "";
    usage = chunk.usage ?? usage;
  }
  expect(text).toBe(whole.choices[0]?.text ?? "");
  expect(usage?.total_tokens).toBe(whole.usage?.total_tokens ?? 0);
});

test("an effort in the name is one that the model has", async () => {
  const { response } = await openai.completions.create({ model: `${model}-max`, prompt: "hello" }).withResponse();
  const sent = demo.backend.requests.findLast(({ path }) => path.endsWith("/responses"))?.body;
  expect(sent).toMatchObject({ model, reasoning: { effort: "xhigh" } });
  expect(response.headers.get("x-plansocket-adjusted")).toBe("reasoning_effort");
});

test("a stop sequence ends it", async () => {
  const reply = await openai.completions.create({ model, prompt: "hello", stop: ["stand-in"] });
  expect(reply.choices[0]?.text).toEndWith("built-in ");
});

test("an answer that was cut here says what it cost by estimate (BerriAI/litellm#30787)", async () => {
  const chunks: OpenAI.Completion[] = [];
  for await (const chunk of await openai.completions.create({
    model,
    prompt: "hello",
    stop: "stand-in",
    stream: true,
    stream_options: { include_usage: true },
  })) {
    chunks.push(chunk);
  }
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
  const usage = chunks.at(-1)?.usage;
  expect(Number(usage?.prompt_tokens)).toBeGreaterThan(0);
  expect(Number(usage?.completion_tokens)).toBeGreaterThan(0);
});

test.each([
  [{ prompt: ["a", "b"] }, "prompt", "unsupported_value"],
  [{ prompt: [1, 2] }, "prompt", "unsupported_value"],
  [{ prompt: "a", n: 2 }, "n", "unsupported_parameter"],
  [{ prompt: "a", best_of: 2 }, "best_of", "unsupported_parameter"],
  [{ prompt: "a", echo: true }, "echo", "unsupported_parameter"],
  [{ prompt: "a", suffix: "b" }, "suffix", "unsupported_parameter"],
  [{ prompt: "" }, "prompt", "missing_required_parameter"],
  [{ prompt: "a", stop: 5 }, "stop", "invalid_type"],
  [{ prompt: "a", stop: ["a", "b", "c", "d", "e"] }, "stop", "array_above_max_length"],
])("%j is refused", async (body, param, code) => {
  const error = await openai.completions.create({ model, ...body } as OpenAI.CompletionCreateParamsNonStreaming).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OpenAI.BadRequestError)) throw new Error(`not refused: ${String(error)}`);
  expect(error.param).toBe(param);
  expect(error.code).toBe(code);
});
