import { isObject, type JsonObject } from "../../src/lib/json.ts";

/** So that the history is a megabyte at the end of forty turns. */
const RESULT_CHARACTERS = 25_000;

type SessionDialect = "chat" | "responses" | "messages" | "ollama";

/** An agent that reads files, turn after turn, over one dialect. */
export interface Agent {
  /** Asks, and keeps the call that was answered and a tool's result for the next turn. */
  turn(count: number): Promise<void>;
}

const SCHEMA = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };
const SYSTEM = "You are a careful programmer. ".repeat(200);

/** By dialect, on a relay's URL. */
export const AGENTS: Readonly<Record<SessionDialect, (url: string) => Agent>> = {
  chat(url) {
    const messages: JsonObject[] = [
      { role: "system", content: SYSTEM },
      { role: "user", content: "Read all files." },
    ];
    const tools = [{ type: "function", function: { name: "read_file", parameters: SCHEMA } }];
    return {
      async turn(count) {
        const reply = await post(`${url}/v1/chat/completions`, { model: "gpt-5.5", messages, tools });
        const [choice] = list(reply["choices"]);
        const message = object(choice?.["message"]);
        messages.push(message);
        for (const call of list(message["tool_calls"])) {
          messages.push({ role: "tool", tool_call_id: call["id"], content: fileText(count) });
        }
      },
    };
  },
  responses(url) {
    const input: JsonObject[] = [{ role: "user", content: "Read all files." }];
    const tools = [{ type: "function", name: "read_file", parameters: SCHEMA, strict: false }];
    return {
      async turn(count) {
        const body = {
          model: "gpt-5.5",
          instructions: SYSTEM,
          input,
          tools,
          store: false,
          include: ["reasoning.encrypted_content"],
        };
        const output = list((await post(`${url}/v1/responses`, body))["output"]);
        input.push(...output);
        for (const item of output.filter(({ type }) => type === "function_call")) {
          input.push({ type: "function_call_output", call_id: item["call_id"], output: fileText(count) });
        }
      },
    };
  },
  messages(url) {
    const messages: JsonObject[] = [{ role: "user", content: "Read all files." }];
    const tools = [{ name: "read_file", input_schema: SCHEMA }];
    return {
      async turn(count) {
        const body = { model: "gpt-5.5", max_tokens: 100_000_000, system: SYSTEM, messages, tools };
        const content = list((await post(`${url}/v1/messages`, body))["content"]);
        messages.push({ role: "assistant", content });
        const results = content
          .filter(({ type }) => type === "tool_use")
          .map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: fileText(count) }));
        messages.push({ role: "user", content: results });
      },
    };
  },
  ollama(url) {
    const messages: JsonObject[] = [
      { role: "system", content: SYSTEM },
      { role: "user", content: "Read all files." },
    ];
    const tools = [{ type: "function", function: { name: "read_file", parameters: SCHEMA } }];
    return {
      async turn(count) {
        const message = object(
          (await post(`${url}/api/chat`, { model: "gpt-5.5", stream: false, messages, tools }))["message"],
        );
        messages.push(message);
        for (const call of list(message["tool_calls"])) {
          messages.push({ role: "tool", tool_name: object(call["function"])["name"], content: fileText(count) });
        }
      },
    };
  },
};

/** A file's worth of words, another one each turn. */
function fileText(count: number): string {
  let text = "";
  for (let word = count * 100_003; text.length < RESULT_CHARACTERS; word += 7919)
    text += `${(word * 2_654_435_761) % 1_000_003} `;
  return text;
}

async function post(url: string, body: object): Promise<JsonObject> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
    body: JSON.stringify(body),
  });
  const reply: unknown = await response.json();
  if (!response.ok) throw new Error(`${url} answered with ${response.status}: ${JSON.stringify(reply)}`);
  return object(reply);
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function list(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
