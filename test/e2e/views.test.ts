/** Where sources disagree about the backend, every dialect must work in either view, in whatever words it refuses. */
import { afterEach, describe, expect, test } from "bun:test";
import { isObject } from "../../src/lib/json.ts";
import type { Views } from "../stand-in/views.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
afterEach(() => demo.stop());

interface Dialect {
  readonly path: string;
  /** A request for a model without any instructions. */
  readonly body: (model: string, text: string) => object;
  readonly none: object;
}

const DIALECTS: Readonly<Record<string, Dialect>> = {
  chat: {
    path: "/v1/chat/completions",
    body: (model, content) => ({ model, messages: [{ role: "user", content }] }),
    none: { reasoning_effort: "none" },
  },
  responses: {
    path: "/v1/responses",
    body: (model, input) => ({ model, input }),
    none: { reasoning: { effort: "none" } },
  },
  messages: {
    path: "/v1/messages",
    body: (model, content) => ({ model, max_tokens: 500, messages: [{ role: "user", content }] }),
    none: {},
  },
  ollama: {
    path: "/api/chat",
    body: (model, content) => ({ model, stream: false, messages: [{ role: "user", content }] }),
    none: { think: false },
  },
};

async function ask(path: string, body: object): Promise<{ status: number; text: string; adjusted: string }> {
  const reply = await fetch(demo.relay.url + path, { method: "POST", body: JSON.stringify(body) });
  const adjusted = reply.headers.get("x-plansocket-adjusted") ?? "";
  return { status: reply.status, text: await reply.text(), adjusted };
}

const posts = () => demo.backend.requests.filter(({ path }) => path.endsWith("/responses"));
const lastBody = () => {
  const body = posts().at(-1)?.body;
  return isObject(body) ? body : {};
};

const WAYS = (["http", "websocket"] as const).flatMap((transport) =>
  [0, 1, 2].map((wording) => [transport, wording] as const),
);

describe.each(WAYS)("over %s, in wording %d", (transport, wording) => {
  const start = (views: Partial<Views>) => {
    demo = startDemoRelay({ upstream: { transport } }, { views });
  };

  describe.each(Object.entries(DIALECTS))("%s", (_name, { path, body, none }) => {
    test("works with a backend that takes the full shape, and with one that wants Lite (contract 0.2)", async () => {
      start({ wording });
      expect((await ask(path, body("gpt-6-luna", "say ok"))).status).toBe(200);
      expect(demo.backend.refusals).toEqual([]);
      demo.backend.setViews({ classicRefusedBy: "lite-models" });
      expect((await ask(path, body("gpt-6-luna", "say ok"))).status).toBe(200);
      expect((await ask(path, body("gpt-6-luna", "say ok again"))).status).toBe(200);
      // What was refused once is remembered.
      expect(demo.backend.refusals).toHaveLength(1);
      expect((await ask(path, body("gpt-5.5", "say ok"))).status).toBe(200);
    });

    test("works without instructions in both views (contract 0.3)", async () => {
      start({ wording, instructions: "either" });
      expect((await ask(path, body("gpt-6-sol", "say ok"))).status).toBe(200);
      demo.backend.setViews({ instructions: "text" });
      expect((await ask(path, body("gpt-6-sol", "say ok"))).status).toBe(200);
      demo.backend.setViews({ classicRefusedBy: "lite-models" });
      expect((await ask(path, body("gpt-6-luna", "say ok"))).status).toBe(200);
    });

    test.skipIf(Object.keys(none).length === 0)(
      "sends the effort none as asked, and the nearest one where it is refused (contract 0.7)",
      async () => {
        start({ wording });
        expect((await ask(path, { ...body("gpt-6-luna", "say ok"), ...none })).status).toBe(200);
        expect(lastBody()["reasoning"]).toMatchObject({ effort: "none" });
        const first = await ask(path, { ...body("gpt-6.1-sol", "say ok"), ...none });
        expect(first.status).toBe(200);
        expect(lastBody()["reasoning"]).toMatchObject({ effort: "low" });
        expect(first.adjusted).not.toBe("");
        const second = await ask(path, { ...body("gpt-6.1-sol", "say ok again"), ...none });
        expect([second.status, second.adjusted]).toEqual([200, first.adjusted]);
        expect(demo.backend.refusals).toHaveLength(1);
      },
    );

    test("goes on without a field that the backend refuses, and names it (contract 0.17)", async () => {
      start({ wording, refusedFields: ["prompt_cache_key"] });
      const first = await ask(path, body("gpt-5.5", "say ok"));
      expect(first.status).toBe(200);
      expect(first.adjusted).toContain("prompt_cache_key");
      await ask(path, body("gpt-5.5", "say ok again"));
      expect(demo.backend.refusals).toHaveLength(1);
    });
  });

  test("a nested field that is refused is left out by its path (contract 0.17)", async () => {
    start({ wording, refusedFields: ["text.verbosity"] });
    const reply = await ask("/v1/chat/completions", {
      model: "gpt-5.5",
      verbosity: "low",
      messages: [{ role: "user", content: "say ok" }],
    });
    expect(reply.status).toBe(200);
    expect(reply.adjusted).not.toBe("");
    expect(demo.backend.refusals).toHaveLength(1);
  });

  test("a tier that the model does not list is left out and named (contract 0.16)", async () => {
    start({ wording });
    const reply = await ask("/v1/responses", { model: "gpt-5.5", input: "say ok", service_tier: "flex" });
    expect([reply.status, reply.adjusted]).toEqual([200, expect.stringContaining("service_tier")]);
    expect(demo.backend.refusals).toEqual([]);
  });

  test("unreadable reasoning of earlier turns is left out once (openai/codex#6603)", async () => {
    start({ wording, replayedReasoning: "refused" });
    const input = [
      { role: "user", content: "hi" },
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAAAAB" },
      { role: "assistant", content: "hello" },
      { role: "user", content: "say ok" },
    ];
    const reply = await ask("/v1/responses", { model: "gpt-5.5", input });
    expect([reply.status, reply.adjusted]).toEqual([200, expect.stringContaining("reasoning")]);
  });

  test("a compaction item of another conversation is left out once (contract 0.6)", async () => {
    start({ wording });
    const input = [
      { type: "compaction", id: "cmp_other", encrypted_content: "gAAAAAB" },
      { role: "user", content: "say ok" },
    ];
    const reply = await ask("/v1/responses", { model: "gpt-5.5", input });
    expect([reply.status, reply.adjusted]).toEqual([200, expect.stringContaining("compaction")]);
  });

  test("a schema with branches at its root goes out as written, or reshaped where that is refused", async () => {
    const tool = {
      type: "function",
      function: {
        name: "pick",
        parameters: { anyOf: [{ type: "object", properties: { a: { type: "string" } } }] },
      },
    };
    const body = { model: "gpt-5.5", tools: [tool], messages: [{ role: "user", content: "say ok" }] };
    start({ wording });
    expect((await ask("/v1/chat/completions", body)).status).toBe(200);
    expect(JSON.stringify(lastBody()["tools"])).toContain('"anyOf"');
    demo.backend.setViews({ schemas: "older" });
    expect((await ask("/v1/chat/completions", body)).status).toBe(200);
  });
});
