/** Cases of @anthropic-ai/claude-agent-sdk, which runs the Claude Code that it brings. */
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSdkMcpServer, query, tool } from "@anthropic-ai/claude-agent-sdk";
import { z } from "zod";
import { BASE, check, MODEL, run } from "./harness.mjs";

const home = mkdtempSync(join(tmpdir(), "plansocket-suite-"));
const options = {
  cwd: home,
  model: MODEL,
  maxTurns: 6,
  permissionMode: "bypassPermissions",
  allowDangerouslySkipPermissions: true,
  env: {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    ANTHROPIC_BASE_URL: BASE,
    ANTHROPIC_API_KEY: "any",
    ANTHROPIC_DEFAULT_HAIKU_MODEL: MODEL,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    // As root it runs tools unasked only where it believes to be fenced in.
    IS_SANDBOX: "1",
  },
};

async function messagesOf(prompt, more = {}) {
  const messages = [];
  for await (const message of query({ prompt, options: { ...options, ...more } })) messages.push(message);
  const result = messages.at(-1);
  check(result?.type === "result" && result.subtype === "success", JSON.stringify(result).slice(0, 400));
  check(result.usage.output_tokens > 0, "no usage");
  return { messages, result };
}

// As the SDK calls the tools of a server that is called 'own'.
const WEATHER = "mcp__own__get_weather";

function weatherServer(asked = []) {
  const weather = tool("get_weather", "The weather of a city", { city: z.string() }, ({ city }) => {
    asked.push(city);
    return Promise.resolve({ content: [{ type: "text", text: "rain" }] });
  });
  return { asked, mcpServers: { own: createSdkMcpServer({ name: "own", version: "1.0.0", tools: [weather] }) } };
}

/** What somebody types, one after the other. */
async function* prompts(...texts) {
  for (const content of texts) yield { type: "user", message: { role: "user", content }, parent_tool_use_id: null };
}

await run({
  async "an answer"() {
    const { result } = await messagesOf("hello one");
    check(result.result.includes("hello one"), result.result);
  },

  async "an answer piece by piece"() {
    const { messages } = await messagesOf("hello two", { includePartialMessages: true });
    const events = messages.filter(({ type }) => type === "stream_event").map(({ event }) => event);
    const text = events.map(({ delta }) => delta?.text ?? "").join("");
    check(text.includes("hello two"), `pieces: ${text}`);
    check(events.at(0)?.type === "message_start" && events.at(-1)?.type === "message_stop", "no whole message");
  },

  async "a file by its own tools"() {
    await messagesOf("Write the text HELLO-RELAY to the file out.txt, then read it back.");
    const file = join(home, "out.txt");
    check(existsSync(file) && readFileSync(file, "utf8").includes("HELLO-RELAY"), "no file");
  },

  async "a tool of the caller's"() {
    const { asked, mcpServers } = weatherServer();
    const env = { ...options.env, ENABLE_TOOL_SEARCH: "false" };
    await messagesOf(`call ${WEATHER} {"city":"Paris"}`, { mcpServers, env });
    check(asked.join() === "Paris", `asked for ${JSON.stringify(asked)}`);
  },

  async "a tool of the caller's that is searched for first"() {
    const { asked, mcpServers } = weatherServer();
    const env = { ...options.env, ENABLE_TOOL_SEARCH: "true" };
    const search = `call ToolSearch {"query":"select:${WEATHER}","max_results":1}`;
    const { result } = await messagesOf(search, { mcpServers, env });
    const more = { mcpServers: weatherServer(asked).mcpServers, env, resume: result.session_id };
    await messagesOf(`call ${WEATHER} {"city":"Paris"}`, more);
    // The stand-in may call what was found at once, with a city of its own.
    check(asked.at(-1) === "Paris", `asked for ${JSON.stringify(asked)}`);
  },

  async "a session that is taken up again"() {
    const { result } = await messagesOf("hello three");
    const again = await messagesOf("hello four", { resume: result.session_id });
    check(again.result.result.includes("hello four"), again.result.result);
  },

  async "several prompts in one session"() {
    const { messages } = await messagesOf(prompts("hello five", "hello six"));
    const results = messages.filter(({ type }) => type === "result");
    check(results.at(-1).result.includes("hello six"), JSON.stringify(results.map(({ result }) => result)));
  },

  async "an answer by a schema"() {
    const schema = {
      type: "object",
      properties: { name: { type: "string" } },
      required: ["name"],
      additionalProperties: false,
    };
    const { result } = await messagesOf("a person", { outputFormat: { type: "json_schema", schema } });
    check(typeof result.structured_output?.name === "string", JSON.stringify(result.structured_output));
  },

  async "a model that there is not is named"() {
    const failed = await messagesOf("hello", { model: "no-such-model" }).catch((error) => error);
    check(failed instanceof Error && /no-such-model/.test(String(failed)), String(failed));
  },
});
