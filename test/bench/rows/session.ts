import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import { atMostTimes, type Bench, type Figure, type Row } from "../row.ts";
import { startSessionBackend } from "../session-backend.ts";
import { openShapedLink } from "../shaped-link.ts";

/** A line of 20 Mbit/s up and 60 ms there and back. */
const LINK = { upBytesPerSecond: 20_000_000 / 8, roundTripMs: 60 };
const MODEL_MS = 50;
/** So that the history is a megabyte at the end of forty turns. */
const RESULT_CHARACTERS = 25_000;
const DIALECTS = ["chat", "responses", "messages"] as const;
type SessionDialect = (typeof DIALECTS)[number];

export const session: Row = {
  name: "session",
  about: "an agent's session of 40 turns with tools over a slow line: WebSocket beside --transport http",
  async run(bench) {
    const turns = bench.isQuick ? 10 : 40;
    const figures: Figure[] = [];
    for (const dialect of DIALECTS) {
      const rounds = { auto: [] as Measured[], http: [] as Measured[] };
      for (let round = 0; round < bench.rounds; round += 1) {
        for (const transport of ["http", "auto"] as const)
          rounds[transport].push(await measure(bench, dialect, transport, turns));
      }
      const each = (name: keyof Measured, transport: "auto" | "http") =>
        rounds[transport].map((measured) => measured[name]);
      figures.push(
        {
          label: `session in ${dialect}, sent (raw: over HTTP)`,
          unit: "KB",
          digits: 0,
          relay: each("kilobytes", "auto"),
          raw: each("kilobytes", "http"),
          goal: atMostTimes(0.1),
        },
        {
          label: `session in ${dialect}, time beside the model (raw: over HTTP)`,
          unit: "s",
          digits: 2,
          relay: each("seconds", "auto"),
          raw: each("seconds", "http"),
          goal: atMostTimes(0.4),
        },
      );
    }
    return { figures };
  },
};

interface Measured {
  readonly kilobytes: number;
  readonly seconds: number;
}

async function measure(
  bench: Bench,
  dialect: SessionDialect,
  transport: "auto" | "http",
  turns: number,
): Promise<Measured> {
  const backend = startSessionBackend(MODEL_MS);
  const link = openShapedLink(backend.port, LINK);
  const relay = await bench.relayAt(`http://127.0.0.1:${link.port}/backend-api/codex`, ["--transport", transport]);
  try {
    const agent = AGENTS[dialect](relay.url);
    // Connections, the list of models and compiled code are there in any session that is worth measuring.
    await agent.turn(0);
    const before = { bytes: link.sentBytes(), modelMs: backend.modelMs(), nowMs: performance.now() };
    for (let turn = 1; turn <= turns; turn += 1) await agent.turn(turn);
    const tookMs = performance.now() - before.nowMs - (backend.modelMs() - before.modelMs);
    return { kilobytes: (link.sentBytes() - before.bytes) / 1000, seconds: tookMs / 1000 };
  } finally {
    await relay.stop();
    link.stop();
    backend.stop();
  }
}

interface Agent {
  /** Asks, and keeps the call that was answered and a tool's result for the next turn. */
  turn(count: number): Promise<void>;
}

const SCHEMA = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };
const SYSTEM = "You are a careful programmer. ".repeat(200);

const AGENTS: Readonly<Record<SessionDialect, (url: string) => Agent>> = {
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
