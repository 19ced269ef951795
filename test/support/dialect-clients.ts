import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { DemoRelay } from "./demo.ts";

/** What they ask for. */
export const model = "gpt-5.5";
const SCHEMA = { type: "object", properties: { path: { type: "string" } } };

/** A client of one dialect: it asks, keeps what was answered as such clients do, and answers tool calls. */
export interface DialectClient {
  readonly path: string;
  /** The request for the next turn. */
  body(): JsonObject;
  say(text: string): void;
  /** Takes an answer in; returns how many calls of tools it has. */
  take(reply: JsonObject): number;
  /** Another wording of what the user said first: the history is edited. */
  edit(text: string): void;
}

/** The objects of a list. */
export const list = (value: unknown): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);
export const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

/** By dialect. */
export const DIALECT_CLIENTS: Readonly<Record<string, () => DialectClient>> = {
  chat() {
    const messages: JsonObject[] = [{ role: "system", content: "Be brief." }];
    const tools = [{ type: "function", function: { name: "read_file", parameters: SCHEMA } }];
    return {
      path: "/v1/chat/completions",
      body: () => ({ model, messages: structuredClone(messages), tools }),
      say: (text) => void messages.push({ role: "user", content: text }),
      edit: (text) => void (messages[1] = { role: "user", content: text }),
      take(reply) {
        const message = object(list(reply["choices"])[0]?.["message"]);
        messages.push(message);
        const calls = list(message["tool_calls"]);
        for (const { id } of calls) messages.push({ role: "tool", tool_call_id: id, content: "done" });
        return calls.length;
      },
    };
  },
  responses() {
    const input: JsonObject[] = [];
    const tools = [{ type: "function", name: "read_file", parameters: SCHEMA, strict: false }];
    return {
      path: "/v1/responses",
      body: () => ({ model, instructions: "Be brief.", input: structuredClone(input), tools, store: false }),
      say: (text) => void input.push({ role: "user", content: text }),
      edit: (text) => void (input[0] = { role: "user", content: text }),
      take(reply) {
        const output = list(reply["output"]);
        input.push(...output);
        const calls = output.filter(({ type }) => type === "function_call");
        for (const call of calls)
          input.push({ type: "function_call_output", call_id: call["call_id"], output: "done" });
        return calls.length;
      },
    };
  },
  messages() {
    const messages: JsonObject[] = [];
    const tools = [{ name: "read_file", input_schema: SCHEMA }];
    return {
      path: "/v1/messages",
      body: () => ({ model, max_tokens: 8192, system: "Be brief.", messages: structuredClone(messages), tools }),
      say: (text) => void messages.push({ role: "user", content: text }),
      edit: (text) => void (messages[0] = { role: "user", content: text }),
      take(reply) {
        const content = list(reply["content"]);
        messages.push({ role: "assistant", content });
        const uses = content.filter(({ type }) => type === "tool_use");
        const results = uses.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "done" }));
        if (results.length > 0) messages.push({ role: "user", content: results });
        return uses.length;
      },
    };
  },
  ollama() {
    const messages: JsonObject[] = [{ role: "system", content: "Be brief." }];
    const tools = [{ type: "function", function: { name: "read_file", parameters: SCHEMA } }];
    return {
      path: "/api/chat",
      body: () => ({ model, stream: false, messages: structuredClone(messages), tools }),
      say: (text) => void messages.push({ role: "user", content: text }),
      edit: (text) => void (messages[1] = { role: "user", content: text }),
      take(reply) {
        const message = object(reply["message"]);
        messages.push(message);
        const calls = list(message["tool_calls"]);
        for (const call of calls) {
          messages.push({ role: "tool", tool_name: object(call["function"])["name"], content: "done" });
        }
        return calls.length;
      },
    };
  },
};

/** One request of a client; throws for anything but a 200. */
export async function post(demo: DemoRelay, path: string, body: JsonObject): Promise<JsonObject> {
  const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01" };
  const response = await fetch(demo.relay.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  const reply: unknown = await response.json();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(reply)}`);
  return object(reply);
}
