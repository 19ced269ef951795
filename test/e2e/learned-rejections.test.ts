import { describe, expect, test } from "bun:test";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { LEARNED_FOR_MS } from "../../src/upstream/rejected-tools.ts";
import { created, completed, fakeCodex, failed, says, sse, type FakeCodex } from "../support/fake-codex.ts";
import { post, startTestRelay, type TestRelayOptions } from "../support/relay.ts";

type Fault = { message: string; code?: string | null; param?: string | null; status?: number } | undefined;

/** A backend that refuses every request with a fault, in one of the two forms of its refusals, and takes the rest. */
function picky(fault: (body: JsonObject, headers: Headers) => Fault, form: "error" | "detail" = "error"): FakeCodex {
  return fakeCodex((body, request) => {
    const found = fault(body, request.headers);
    if (!found) return says("ok")();
    const { status = 400, message, code = null, param = null } = found;
    const error = { message, type: "invalid_request_error", code, param };
    return Response.json(form === "detail" ? { detail: message } : { error }, { status });
  });
}

const items = (body: JsonObject) => body["input"] as JsonObject[];
const isLite = (headers: Headers) => headers.get("x-openai-internal-codex-responses-lite") === "true";
const field = (body: JsonObject, group: string, name: string) => {
  const found = body[group];
  return isObject(found) ? found[name] : undefined;
};

async function relayTo(backend: FakeCodex, over: Partial<TestRelayOptions> = {}) {
  const relay = startTestRelay({ baseUrl: backend.baseUrl, ...over });
  const ask = async (body: object, path = "/v1/responses") => {
    const reply = await post(relay.url + path, { model: "gpt-5.5", input: "hi", ...body });
    const text = await reply.text();
    return { status: reply.status, adjusted: reply.headers.get("x-plansocket-adjusted") ?? "", text };
  };
  return { relay, ask, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() };
}

const reasoning = { type: "reasoning", id: "rs_41a", summary: [], encrypted_content: "gAAAA-old" };
const search = { type: "web_search", search_context_size: "low", filters: { allowed_domains: ["a.example"] } };
const fn = { type: "function", name: "find", parameters: { type: "object", properties: {} }, strict: false };
const compacted = (type: string) => ({ type, id: "cmp_7", encrypted_content: "gAAAA-c" });

interface Row {
  readonly what: string;
  readonly request: object;
  readonly fault: (body: JsonObject, headers: Headers) => Fault;
  /** Named in the header. */
  readonly adjusted: string;
  /** Of the request that was taken. */
  readonly sent: object;
  readonly lacks?: string;
  /** Both, unless the text alone does not say what it is about. */
  readonly forms?: readonly ("error" | "detail")[];
  /** False for what is about one request alone, or loses nothing. */
  readonly isRemembered?: false;
  readonly isTakenByStrict?: true;
}

const ROWS: readonly Row[] = [
  {
    what: "Unsupported parameter (BerriAI/litellm#21209)",
    request: { text: { verbosity: "low" } },
    fault: (body) =>
      field(body, "text", "verbosity") ? { message: "Unsupported parameter: text.verbosity" } : undefined,
    adjusted: "text.verbosity",
    sent: { text: {} },
  },
  {
    what: "a field, by code and param alone",
    forms: ["error"],
    request: { parallel_tool_calls: true, tools: [fn] },
    fault: (body) =>
      "parallel_tool_calls" in body
        ? { message: "No.", code: "unsupported_parameter", param: "parallel_tool_calls" }
        : undefined,
    adjusted: "parallel_tool_calls",
    sent: { tools: [fn] },
    lacks: "parallel_tool_calls",
  },
  {
    what: "Unknown parameter with a path (openai/codex#31754, contract 0.17)",
    request: {
      input: [
        { role: "user", content: "a" },
        { type: "function_call", call_id: "c1", name: "find", arguments: "{}", namespace: "n" },
        { type: "function_call_output", call_id: "c1", output: "x" },
      ],
    },
    fault: (body) => {
      const at = items(body).findIndex((item) => "namespace" in item);
      return at < 0
        ? undefined
        : {
            message: `Unknown parameter: 'input[${at}].namespace'.`,
            code: "unknown_parameter",
            param: `input[${at}].namespace`,
          };
    },
    adjusted: "input[].namespace",
    sent: { input: [{}, { type: "function_call", call_id: "c1", name: "find", arguments: "{}" }, {}] },
    isTakenByStrict: true,
  },
  {
    what: "the path of an option of a hosted tool, told by its place in the text",
    request: { tools: [fn, search] },
    fault: (body) => {
      const at = (body["tools"] as JsonObject[]).findIndex((tool) => "filters" in tool);
      return at < 0 ? undefined : { message: `tools.${at}.filters: Extra inputs are not permitted` };
    },
    adjusted: "tools[1].filters",
    sent: { tools: [fn, { type: "web_search", search_context_size: "low" }] },
  },
  {
    what: "an effort that the model lacks, without param (openai/codex#46915, contract 0.7)",
    request: { model: "hidden-one", reasoning: { effort: "none", summary: "auto" } },
    fault: (body) =>
      field(body, "reasoning", "effort") === "none"
        ? {
            message:
              "Unsupported value: 'none' is not supported with the 'hidden-one' model. Supported values are: 'low', 'medium', and 'high'.",
          }
        : undefined,
    adjusted: "reasoning.effort",
    sent: { reasoning: { effort: "low", summary: "auto" } },
  },
  {
    what: "Unsupported service_tier",
    request: { service_tier: "priority" },
    fault: (body) => ("service_tier" in body ? { message: "Unsupported service_tier: priority" } : undefined),
    adjusted: "service_tier",
    sent: { model: "gpt-5.5" },
    lacks: "service_tier",
  },
  {
    what: "whose an output is (openai/openai-python#3008)",
    request: {
      input: [
        { type: "function_call", call_id: "c", name: "find", arguments: "{}" },
        { type: "function_call_output", call_id: "c", name: "find", output: "row 3" },
      ],
    },
    fault: (body) =>
      items(body).some((item) => item["type"] === "function_call_output" && "name" in item)
        ? { message: "Unknown parameter: 'input[1].name'.", param: "input[1].name", code: "unknown_parameter" }
        : undefined,
    adjusted: "input[].name",
    sent: { input: [{ name: "find" }, { type: "function_call_output", call_id: "c", output: "row 3" }] },
    isTakenByStrict: true,
  },
  {
    what: "a value of include",
    request: { include: ["web_search_call.action.sources"] },
    fault: (body) =>
      (body["include"] as string[]).includes("web_search_call.action.sources")
        ? {
            message:
              "Invalid value: 'web_search_call.action.sources'. Supported values are: 'reasoning.encrypted_content'.",
            code: "invalid_value",
            param: "include[0]",
          }
        : undefined,
    adjusted: "include",
    sent: { include: ["reasoning.encrypted_content"] },
    isTakenByStrict: true,
  },
  {
    what: "Instructions are required (contract 0.3)",
    request: {},
    fault: (body) => (body["instructions"] ? undefined : { message: "Instructions are required" }),
    adjusted: "instructions",
    sent: { instructions: "Answer the user." },
    isTakenByStrict: true,
  },
  {
    what: "a forced tool that the backend runs (NousResearch/hermes-agent#49008)",
    request: { tools: [search, fn], tool_choice: { type: "web_search" } },
    fault: (body) =>
      isObject(body["tool_choice"])
        ? {
            message: "Tool choice 'web_search' not found in 'tools' parameter.",
            param: "tool_choice",
            code: "invalid_value",
          }
        : undefined,
    adjusted: "tool_choice",
    sent: { tools: [search, fn], tool_choice: "auto" },
  },
  {
    what: "a choice among tools that the backend runs",
    request: {
      tools: [search, fn],
      tool_choice: { type: "allowed_tools", mode: "required", tools: [{ type: "web_search" }] },
    },
    fault: (body) =>
      isObject(body["tool_choice"]) ? { message: "Unsupported tool_choice.", param: "tool_choice" } : undefined,
    adjusted: "tool_choice",
    sent: { tools: [search, fn], tool_choice: "auto" },
  },
  ...[
    "Unsupported content type",
    "Item 'rs_41a' of type 'reasoning' was provided without its required following item.",
    "The encrypted content could not be verified.",
  ].map((message): Row => ({
    what: `replayed reasoning: ${message}`,
    request: { input: [{ role: "user", content: "a" }, reasoning, { role: "user", content: "b" }] },
    fault: (body) => (items(body).some((item) => item["type"] === "reasoning") ? { message } : undefined),
    adjusted: "reasoning.encrypted_content",
    sent: { input: [{ role: "user" }, { role: "user" }] },
    isTakenByStrict: true,
  })),
  ...["compaction", "context_compaction", "compaction_summary"].map((type): Row => ({
    what: `a ${type} under another id (Soju06/codex-lb#1316, contract 0.6)`,
    request: { input: [compacted(type), { role: "user", content: "b" }] },
    fault: (body) =>
      items(body).some((item) => item["type"] === type)
        ? { message: "Encrypted content item_id did not match the target item id." }
        : undefined,
    adjusted: "input.compaction",
    sent: { input: [{ role: "user" }] },
    isRemembered: false,
    isTakenByStrict: true,
  })),
];

describe.each(ROWS.map((row) => [row.what, row] as const))("the backend's refusal of %s", (_what, row) => {
  test.each(row.forms ?? (["error", "detail"] as const))(
    "in its form `%s` is cured by a second try, and named",
    async (form) => {
      await using backend = picky(row.fault, form);
      await using relay = await relayTo(backend);
      const reply = await relay.ask(row.request);
      expect(reply).toMatchObject({ status: 200, adjusted: expect.stringContaining(row.adjusted) as string });
      expect(backend.bodies).toHaveLength(2);
      expect(backend.bodies[1]).toMatchObject(row.sent);
      if (row.lacks !== undefined) expect(backend.bodies[1]).not.toHaveProperty(row.lacks);

      const again = await relay.ask(row.request);
      expect([again.status, again.adjusted, backend.bodies.length]).toEqual([
        200,
        reply.adjusted,
        row.isRemembered === false ? 4 : 3,
      ]);
    },
  );

  test("is a 400 with --strict where the client would lose something", async () => {
    await using backend = picky(row.fault);
    await using relay = await relayTo(backend, { relay: { strict: true } });
    for (const turn of [1, 2])
      expect([turn, (await relay.ask(row.request)).status]).toEqual([turn, row.isTakenByStrict ? 200 : 400]);
  });
});

describe("what is learnt", () => {
  const fault = (body: JsonObject): Fault =>
    field(body, "text", "verbosity") ? { message: "Unsupported parameter: text.verbosity" } : undefined;

  test("belongs to the model that it was learnt on, and ends after hours", async () => {
    let nowMs = Date.now();
    await using backend = picky(fault);
    await using relay = await relayTo(backend, { now: () => nowMs });
    const wordy = { text: { verbosity: "low" } };
    await relay.ask(wordy);
    await relay.ask({ ...wordy, model: "gpt-6-sol" });
    expect(backend.bodies.map((body) => [body["model"], field(body, "text", "verbosity")])).toEqual([
      ["gpt-5.5", "low"],
      ["gpt-5.5", undefined],
      ["gpt-6-sol", "low"],
      ["gpt-6-sol", undefined],
    ]);
    await relay.ask(wordy);
    nowMs += LEARNED_FOR_MS;
    await relay.ask(wordy);
    expect(backend.bodies.slice(4).map((body) => field(body, "text", "verbosity"))).toEqual([
      undefined,
      "low",
      undefined,
    ]);
  });

  test.each(["tools", "instructions", "input", "model", "input[0].content", "tools[0].parameters", "text.format"])(
    "is never that '%s' is left out",
    async (name) => {
      await using backend = picky(() => ({
        message: `Unsupported parameter: '${name}'.`,
        code: "unsupported_parameter",
        param: name,
      }));
      await using relay = await relayTo(backend);
      const format = { type: "json_schema", name: "n", schema: { type: "object" } };
      const reply = await relay.ask({ tools: [fn], instructions: "Be brief.", text: { format } });
      expect(reply.status).toBe(400);
      for (const body of backend.bodies) {
        expect(body).toMatchObject({ tools: [fn], instructions: "Be brief.", text: { format }, model: "gpt-5.5" });
        expect(items(body)).toHaveLength(1);
      }
    },
  );

  test("is not learnt from a refusal that a second try does not cure, again and again", async () => {
    await using backend = picky(() => ({ message: "Unsupported parameter: text.verbosity" }));
    await using relay = await relayTo(backend);
    expect((await relay.ask({ text: { verbosity: "low" } })).status).toBe(400);
    expect(backend.bodies).toHaveLength(2);
  });

  test("comes from a failure inside a stream too", async () => {
    await using backend = fakeCodex((body) =>
      "service_tier" in body
        ? sse([created, failed("unsupported_value", "Unsupported service_tier: priority")])
        : sse([created, completed]),
    );
    await using relay = await relayTo(backend);
    expect(await relay.ask({ service_tier: "priority", stream: true })).toMatchObject({
      status: 200,
      adjusted: "service_tier",
    });
  });

  test("a forced function stays forced", async () => {
    await using backend = picky((body) =>
      isObject(body["tool_choice"]) ? { message: "Unsupported value", param: "tool_choice" } : undefined,
    );
    await using relay = await relayTo(backend);
    expect((await relay.ask({ tools: [fn], tool_choice: { type: "function", name: "find" } })).status).toBe(400);
    expect(backend.bodies).toHaveLength(1);
  });
});

describe("reasoning that the backend cannot read", () => {
  test("is forgotten: later turns go without it from the start, and keep the newer (openai/codex#6603)", async () => {
    const isOld = (item: JsonObject) => item["encrypted_content"] === "gAAAA-old";
    await using backend = picky((body) =>
      items(body).some(isOld) ? { message: "Invalid.", code: "invalid_encrypted_content" } : undefined,
    );
    await using relay = await relayTo(backend);
    await relay.ask({ input: [reasoning, { role: "user", content: "b" }] });
    const later = {
      input: [reasoning, { ...reasoning, encrypted_content: "gAAAA-new" }, { role: "user", content: "c" }],
    };
    expect((await relay.ask(later)).adjusted).toContain("reasoning.encrypted_content");
    expect(backend.bodies).toHaveLength(3);
    expect(items(backend.bodies[2] ?? {}).map((item) => item["encrypted_content"])).toEqual(["gAAAA-new", undefined]);
  });
});

describe("the envelope (contract 0.2)", () => {
  const unknownInFull = (_body: JsonObject, headers: Headers): Fault =>
    isLite(headers) ? undefined : { message: "Model not found gpt-6-sol", status: 404 };

  test("is the full one for every model, and parallel calls are what the client says", async () => {
    await using backend = picky(() => undefined);
    await using relay = await relayTo(backend);
    await relay.ask({ model: "gpt-6-sol", tools: [fn], parallel_tool_calls: true });
    expect(isLite(backend.headers[0] ?? new Headers())).toBe(false);
    expect(backend.bodies[0]).toMatchObject({ instructions: "", tools: [fn], parallel_tool_calls: true });
  });

  test("is Lite for a model that the backend does not know in the full one, from then on", async () => {
    await using backend = picky(unknownInFull);
    await using relay = await relayTo(backend);
    const request = { model: "gpt-6-sol", tools: [fn], parallel_tool_calls: true };
    const first = await relay.ask(request);
    expect(first).toMatchObject({ status: 200, adjusted: "parallel_tool_calls" });
    expect((await relay.ask(request)).adjusted).toBe("parallel_tool_calls");
    expect(backend.headers.map(isLite)).toEqual([false, true, true]);
    const [, one, two] = backend.bodies.map((body) => items(body)[0]);
    expect(one).toEqual(two as JsonObject);
  });

  test.each<[string, object, Partial<TestRelayOptions>]>([
    ["a model that is not listed with Lite", { model: "gpt-5.5" }, {}],
    ["an owner who turned Lite off", { model: "gpt-6-sol" }, { upstream: { lite: { default: "off", models: {} } } }],
  ])("stays the full one for %s", async (_what, request, over) => {
    await using backend = picky(unknownInFull);
    await using relay = await relayTo(backend, over);
    expect((await relay.ask(request)).status).toBe(404);
    expect(backend.headers.map(isLite)).toEqual([false]);
  });

  test("becomes the full one where the model refuses Lite", async () => {
    await using backend = picky((_body, headers) =>
      isLite(headers)
        ? {
            message: "This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite.",
            code: "unsupported_value",
            param: "model",
          }
        : undefined,
    );
    await using relay = await relayTo(backend, { upstream: { lite: { default: "on", models: {} } } });
    expect((await relay.ask({ model: "gpt-6-sol" })).status).toBe(200);
    expect((await relay.ask({ model: "gpt-6-sol" })).status).toBe(200);
    expect(backend.headers.map(isLite)).toEqual([true, false, false]);
  });

  test("a tool that Lite cannot run is named where only Lite is left, and refused with --strict (can1357/oh-my-pi#7666)", async () => {
    await using backend = picky(unknownInFull);
    await using relay = await relayTo(backend);
    const request = { model: "gpt-6-sol", tools: [fn, search] };
    expect(await relay.ask(request)).toMatchObject({ status: 200, adjusted: "tools[1]" });
    expect(items(backend.bodies[1] ?? {})[0]).toMatchObject({ type: "additional_tools", tools: [fn] });
    await using strict = await relayTo(backend, { relay: { strict: true } });
    expect((await strict.ask(request)).status).toBe(404);
  });
});
