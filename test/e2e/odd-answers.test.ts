import Anthropic from "@anthropic-ai/sdk";
import { describe, expect, test } from "bun:test";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { created, fakeCodex, sse } from "../support/fake-codex.ts";
import { post, startTestRelay } from "../support/relay.ts";

/*
 * Answers that leave out, empty or write in another way what some other event tells, as users of clients reported them:
 * every route gives the same text and the same call, streamed, whole, over a socket, stored, and to the turn after.
 */

const weigh = { of: "anchor", at: { side: "port" } };
const item = {
  id: "fc_w",
  type: "function_call",
  call_id: "call_w",
  name: "weigh",
  arguments: "",
  status: "in_progress",
};
const ended = { ...item, arguments: JSON.stringify(weigh), status: "completed" };
const said = (text: string, phase?: string) => ({
  id: `msg_${text.length}`,
  type: "message",
  role: "assistant",
  status: "completed",
  ...(phase === undefined ? {} : { phase }),
  content: [{ type: "output_text", text, annotations: [], logprobs: [] }],
});
const added = (of: object, index = 1) => ({ type: "response.output_item.added", output_index: index, item: of });
const done = (of: object, index = 1) => ({ type: "response.output_item.done", output_index: index, item: of });
const pieces = [JSON.stringify(weigh).slice(0, 9), JSON.stringify(weigh).slice(9)].map((delta) => ({
  type: "response.function_call_arguments.delta",
  output_index: 1,
  item_id: "fc_w",
  delta,
}));
const usage = { input_tokens: 31, output_tokens: 8, total_tokens: 39 };
const completed = (output: object[] = [], told: object = usage) => ({
  type: "response.completed",
  response: { id: "resp_o", object: "response", created_at: 1_700_000_000, status: "completed", output, usage: told },
});
const text = done(said("Weighing."), 0);

/** What upstream sends; each of them is the same answer. */
const ANSWERS: Record<string, object[]> = {
  "a call that never ends (NousResearch/hermes-agent#92764)": [created, text, added(item), ...pieces, completed()],
  "a call that is only in the last list (anomalyco/opencode#37159)": [
    created,
    text,
    completed([said("Weighing."), ended]),
  ],
  "a name that only the end tells (BigPizzaV3/CodexPlusPlus#614)": [
    created,
    text,
    added({ ...item, name: "" }),
    ...pieces,
    done(ended),
    completed(),
  ],
  "a name that the end and the last list empty (BigPizzaV3/CodexPlusPlus#614)": [
    created,
    text,
    added(item),
    ...pieces,
    done({ ...ended, name: "" }),
    completed([said("Weighing."), { ...ended, name: null }]),
  ],
  "arguments that are an object (ggml-org/llama.cpp#20198)": [
    created,
    text,
    added({ ...item, arguments: {} }),
    done({ ...ended, arguments: weigh }),
    completed([said("Weighing."), { ...ended, arguments: weigh }]),
  ],
  "a last list with a hollow message and without the call (james-6-23/codex2api#422)": [
    created,
    text,
    added(item),
    ...pieces,
    done(ended),
    completed([{ ...said("Weighing."), content: [] }]),
  ],
  "usage with holes (diegosouzapw/OmniRoute#9192)": [
    created,
    text,
    done(ended),
    completed([], { input_tokens: 31, input_tokens_details: null, output_tokens: 8, output_tokens_details: null }),
  ],
  "a remark before the answer (NousResearch/hermes-agent#24933)": [
    created,
    done(said("Which anchor?", "commentary"), 0),
    done(said("Weighing.", "final_answer"), 1),
    done(ended, 2),
    completed(),
  ],
};

const parameters = { type: "object", properties: { of: { type: "string" } } };
const tools = [{ type: "function" as const, name: "weigh", parameters, strict: false }];
const chatTools = [{ type: "function" as const, function: { name: "weigh", parameters } }];
const messages = [{ role: "user" as const, content: "Weigh it." }];
const model = "gpt-5.5";

interface Got {
  readonly text: string;
  readonly call: unknown;
  readonly tokens: readonly number[];
}

const ofChat = ({ choices: [choice], usage: told }: OpenAI.ChatCompletion): Got => {
  const calls = (choice?.message.tool_calls ?? []).map((call) => (call.type === "function" ? call.function : call));
  return {
    text: choice?.message.content ?? "",
    call: calls.map((call) => ("name" in call ? [call.name, JSON.parse(call.arguments)] : call)),
    tokens: [told?.prompt_tokens ?? -1, told?.completion_tokens ?? -1],
  };
};

/** Messages of the answer itself: remarks are messages of their own here. */
const ofResponse = ({ output, usage: told }: OpenAI.Responses.Response): Got => ({
  text: output
    .flatMap((one) => (one.type === "message" && one.phase !== "commentary" ? one.content : []))
    .map((part) => (part.type === "output_text" ? part.text : ""))
    .join(""),
  call: output.flatMap((one) => (one.type === "function_call" ? [[one.name, JSON.parse(one.arguments)]] : [])),
  tokens: [told?.input_tokens ?? -1, told?.output_tokens ?? -1],
});

const ofMessage = ({ content, usage: told }: Anthropic.Message): Got => ({
  text: content.map((block) => (block.type === "text" ? block.text : "")).join(""),
  call: content.flatMap((block) => (block.type === "tool_use" ? [[block.name, block.input]] : [])),
  tokens: [told.input_tokens, told.output_tokens],
});

/** Every way to ask, by the SDK of the dialect. */
const WAYS: Record<string, (url: string) => Promise<Got>> = {
  chat: async (url) => ofChat(await openai(url).chat.completions.create({ model, messages, tools: chatTools })),
  "chat, streamed": async (url) => {
    const options = { include_usage: true };
    const stream = openai(url).chat.completions.stream({ model, messages, tools: chatTools, stream_options: options });
    return ofChat(await stream.finalChatCompletion());
  },
  responses: async (url) => ofResponse(await openai(url).responses.create({ model, input: "Weigh it.", tools })),
  "responses, streamed": async (url) =>
    ofResponse(await openai(url).responses.stream({ model, input: "Weigh it.", tools }).finalResponse()),
  "responses, stored": async (url) => {
    const { id } = await openai(url).responses.create({ model, input: "Weigh it.", tools });
    return ofResponse(await openai(url).responses.retrieve(id));
  },
  "responses, over a socket": (url) =>
    new Promise((resolve, reject) => {
      const socket = new ResponsesWS(openai(url));
      socket.on("error", reject);
      socket.on("response.completed", ({ response }) => {
        socket.close();
        resolve(ofResponse(response));
      });
      socket.send({ type: "response.create", model, input: "Weigh it.", tools });
    }),
  messages: async (url) => ofMessage(await anthropic(url).messages.create(question)),
  "messages, streamed": async (url) => ofMessage(await anthropic(url).messages.stream(question).finalMessage()),
  ollama: async (url) => {
    const whole = await new Ollama({ host: url }).chat({ model, messages, tools: chatTools });
    return ofOllama(whole.message, whole);
  },
  "ollama, streamed": async (url) => {
    const lines = await Array.fromAsync(
      await new Ollama({ host: url }).chat({ model, messages, tools: chatTools, stream: true }),
    );
    const content = lines.map(({ message }) => message.content).join("");
    const calls = lines.flatMap(({ message }) => message.tool_calls ?? []);
    return ofOllama({ content, tool_calls: calls }, lines.at(-1));
  },
};

const question = {
  model,
  max_tokens: 500,
  messages,
  tools: [{ name: "weigh", input_schema: { ...parameters, type: "object" as const } }],
};

const openai = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
const anthropic = (url: string) => new Anthropic({ baseURL: url, apiKey: "any", maxRetries: 0 });

function ofOllama(
  { content, tool_calls: calls }: { content: string; tool_calls?: { function: { name: string; arguments: object } }[] },
  told: { prompt_eval_count: number; eval_count: number } | undefined,
): Got {
  return {
    text: content,
    call: (calls ?? []).map((call) => [call.function.name, call.function.arguments]),
    tokens: [told?.prompt_eval_count ?? -1, told?.eval_count ?? -1],
  };
}

const inputOf = (body: JsonObject | undefined) =>
  Array.isArray(body?.["input"]) ? body["input"].filter(isObject) : [];

describe.each(Object.entries(ANSWERS))("%s", (_name, events) => {
  test.each(Object.keys(WAYS))("%s", async (way) => {
    await using fake = fakeCodex(() => sse(events));
    await using relay = startTestRelay({ baseUrl: fake.baseUrl });
    const got = await WAYS[way]?.(relay.url);
    expect(got).toEqual({ text: "Weighing.", call: [["weigh", weigh]], tokens: [31, 8] });
  });

  test("and the turn after has it", async () => {
    await using fake = fakeCodex(() => sse(events));
    await using relay = startTestRelay({ baseUrl: fake.baseUrl });
    const { id } = await openai(relay.url).responses.create({ model, input: "Weigh it.", tools });
    const result = { type: "function_call_output", call_id: "call_w", output: "900 kg" };
    const next = await post(`${relay.url}/v1/responses`, { model, input: [result], previous_response_id: id, tools });
    expect(next.status).toBe(200);
    const input = inputOf(fake.bodies[1]);
    const call = input.find(({ type }) => type === "function_call");
    expect([call?.["name"], JSON.parse(String(call?.["arguments"]))]).toEqual(["weigh", weigh]);
    expect(JSON.stringify(input)).toContain("Weighing.");
    expect(input.at(-1)).toEqual(result);
  });
});
