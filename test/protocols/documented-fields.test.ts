import { describe, expect, test } from "bun:test";
import { Upload } from "../../src/codex/wire/endpoint-call.ts";
import { finishRequest } from "../../src/codex/request/finish.ts";
import { RelayError } from "../../src/lib/errors.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { DIALECTS, EXCHANGES } from "../../src/protocols/index.ts";
import { contextOf, translated } from "../support/cases.ts";

/*
 * Every documented parameter of each API, one at a time, with a value that says something. Each is sent on, honoured by
 * the relay, named to the client, or refused by its name; none is gone without a word.
 */

interface Documented {
  /** What every request has. */
  readonly base: JsonObject;
  /** By name, with a value that differs from what happens without it. */
  readonly parameters: JsonObject;
  /** Honoured by the relay itself, in the reply. */
  readonly kept: readonly string[];
}

const fn = { type: "object", properties: { a: { type: "string" } } };
const sampling = {
  temperature: 0.3,
  top_p: 0.3,
  frequency_penalty: 0.3,
  presence_penalty: 0.3,
  logit_bias: { "1": 2 },
  seed: 3,
};

const APIS: Readonly<Record<string, Documented>> = {
  chat: {
    base: { model: "gpt-6-sol", messages: [{ role: "user", content: "hi" }] },
    parameters: {
      ...sampling,
      audio: { voice: "alloy", format: "wav" },
      function_call: "auto",
      functions: [{ name: "f", parameters: fn }],
      logprobs: true,
      max_completion_tokens: 5,
      max_tokens: 5,
      metadata: { a: "b" },
      modalities: ["audio"],
      moderation: { model: "omni" },
      n: 2,
      parallel_tool_calls: false,
      prediction: { type: "content", content: "x" },
      prompt_cache_key: "k",
      prompt_cache_retention: "24h",
      reasoning_effort: "high",
      response_format: { type: "json_object" },
      safety_identifier: "s",
      service_tier: "priority",
      stop: ["x"],
      store: true,
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: true },
      tool_choice: "none",
      tools: [{ type: "function", function: { name: "f", parameters: fn } }],
      top_logprobs: 2,
      user: "u",
      verbosity: "high",
      web_search_options: { search_context_size: "low" },
    },
    kept: ["stream", "parallel_tool_calls", "tool_choice", "function_call"],
  },
  responses: {
    base: { model: "gpt-6-sol", input: "hi" },
    parameters: {
      background: true,
      context_management: [{ type: "compaction" }],
      conversation: "conv_1",
      include: ["web_search_call.action.sources"],
      instructions: "Be brief.",
      max_output_tokens: 5,
      max_tool_calls: 2,
      metadata: { a: "b" },
      moderation: { model: "omni" },
      parallel_tool_calls: false,
      previous_response_id: "resp_1",
      prompt: { id: "pmpt_1" },
      prompt_cache_key: "k",
      prompt_cache_retention: "24h",
      reasoning: { effort: "high", summary: "auto" },
      safety_identifier: "s",
      service_tier: "priority",
      store: true,
      stream: true,
      stream_options: { include_obfuscation: true },
      temperature: 0.3,
      text: { verbosity: "high" },
      tool_choice: "required",
      tools: [{ type: "function", name: "f", parameters: fn, strict: false }],
      top_logprobs: 2,
      top_p: 0.3,
      truncation: "auto",
      user: "u",
    },
    kept: ["stream"],
  },
  messages: {
    base: { model: "gpt-6-sol", max_tokens: 10, messages: [{ role: "user", content: "hi" }] },
    parameters: {
      container: "container_1",
      context_management: { edits: [] },
      inference_geo: "us",
      max_tokens: 5,
      mcp_servers: [{ type: "url", url: "https://a.example", name: "a" }],
      metadata: { user_id: "u" },
      output_config: { effort: "high" },
      output_format: { type: "json_schema", schema: fn },
      service_tier: "standard_only",
      speed: "fast",
      stop_sequences: ["x"],
      stream: true,
      system: "Be brief.",
      temperature: 0.3,
      thinking: { type: "enabled", budget_tokens: 2000 },
      tool_choice: { type: "none" },
      tools: [{ name: "f", input_schema: fn }],
      top_k: 3,
      top_p: 0.3,
    },
    // What happens without `service_tier` is the standard tier.
    kept: ["stream", "service_tier", "tool_choice"],
  },
  completions: {
    base: { model: "gpt-6-sol", prompt: "hi" },
    parameters: {
      ...sampling,
      best_of: 2,
      echo: true,
      logprobs: 2,
      max_tokens: 5,
      n: 2,
      stop: ["x"],
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: true },
      suffix: "}",
      user: "u",
    },
    kept: ["stream"],
  },
  ollama: {
    base: { model: "gpt-6-sol", messages: [{ role: "user", content: "hi" }] },
    parameters: {
      format: "json",
      keep_alive: "5m",
      logprobs: true,
      options: { seed: 1, num_ctx: 4096, stop: ["x"] },
      stream: false,
      think: "high",
      tools: [{ type: "function", function: { name: "f", parameters: fn } }],
      top_logprobs: 2,
    },
    // Nothing is ever unloaded.
    kept: ["stream", "keep_alive"],
  },
  "ollama-generate": {
    base: { model: "gpt-6-sol", prompt: "hi" },
    parameters: {
      context: [1, 2],
      format: "json",
      images: ["iVBORw0KGgo="],
      keep_alive: "5m",
      logprobs: true,
      options: { seed: 1 },
      raw: true,
      stream: false,
      suffix: "}",
      system: "Be brief.",
      template: "{{ .Prompt }}",
      think: false,
      top_logprobs: 2,
    },
    kept: ["stream", "keep_alive"],
  },
};

const names = (list: readonly string[]) => new Set(list.map((name) => name.replace(/[.[].*$/, "")));

describe.each(Object.entries(APIS))("%s", (name, { base, parameters, kept }) => {
  test.each(Object.keys(parameters))("%s is sent on, honoured, named or refused", async (parameter) => {
    const protocol = await DIALECTS.find((dialect) => dialect.name === name)?.load();
    if (!protocol) throw new Error(`there is no dialect ${name}`);
    const sentWith = (body: object) => {
      const { dropped, changed, body: written } = translated(protocol, body, contextOf({}));
      const { wire } = finishRequest(written, { envelope: "full", clientId: "" });
      return { wire, named: names([...dropped, ...changed]) };
    };
    const body = { ...base, [parameter]: parameters[parameter] };
    // Tools have to be there before anything can be said about them.
    const needsTools = ["tool_choice", "parallel_tool_calls", "function_call"].includes(parameter);
    const tools =
      parameter === "function_call" ? { functions: parameters["functions"] } : { tools: parameters["tools"] };
    const without = needsTools ? { ...base, ...tools } : base;
    try {
      const { wire, named } = sentWith({ ...without, ...body });
      const isSent = !Bun.deepEquals(wire, sentWith(without).wire);
      expect([parameter, isSent || named.has(parameter) || kept.includes(parameter)]).toEqual([parameter, true]);
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      expect([error.param, error.message].join(" ")).toContain(parameter);
    }
  });
});

const FORMS: Readonly<Record<string, Documented>> = {
  "image-generations": {
    base: { prompt: "a kite" },
    parameters: {
      background: "opaque",
      model: "dall-e-3",
      moderation: "low",
      n: 2,
      output_compression: 50,
      output_format: "jpeg",
      partial_images: 1,
      quality: "high",
      response_format: "url",
      size: "1024x1536",
      stream: true,
      style: "vivid",
      user: "u",
    },
    kept: ["stream"],
  },
  "image-edits": {
    base: { prompt: "a kite", image: "data:image/png;base64,AA==" },
    parameters: { input_fidelity: "high", mask: "data:image/png;base64,AA==", quality: "high", user: "u" },
    kept: [],
  },
  transcriptions: {
    base: { file: new Upload("a.wav", "audio/wav", new Uint8Array(4)) },
    parameters: {
      chunking_strategy: "auto",
      include: ["logprobs"],
      known_speaker_names: ["a"],
      language: "en",
      model: "whisper-1",
      prompt: "p",
      response_format: "srt",
      stream: "true",
      temperature: "0.2",
      timestamp_granularities: ["segment"],
    },
    kept: ["stream"],
  },
};

describe.each(Object.entries(FORMS))("%s", (name, { base, parameters, kept }) => {
  test.each(Object.keys(parameters))("%s is sent on, honoured, named or refused", async (parameter) => {
    const protocol = await EXCHANGES.find((dialect) => dialect.name === name)?.load();
    if (!protocol) throw new Error(`there is no exchange ${name}`);
    const askedWith = (body: object) => {
      const { dropped, changed, way } = protocol.read(body, contextOf({}));
      if (!("dialogue" in way)) return { asked: way.translation.body, named: names([...dropped, ...changed]) };
      const step = way.dialogue.next().value;
      return { asked: isObject(step) ? step : {}, named: names([...dropped, ...changed]) };
    };
    try {
      const { asked, named } = askedWith({ ...base, [parameter]: parameters[parameter] });
      const isSent = !Bun.deepEquals(asked, askedWith(base).asked);
      expect([parameter, isSent || named.has(parameter) || kept.includes(parameter)]).toEqual([parameter, true]);
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      expect([error.param, error.message].join(" ")).toContain(parameter);
    }
  });
});
