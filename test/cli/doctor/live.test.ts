import { describe, expect, test } from "bun:test";
import {
  textOfChat,
  textOfChatStream,
  textOfResponse,
  textOfResponseStream,
} from "../../../src/cli/doctor/answer-text.ts";
import { usePatient } from "../../support/doctor.ts";

const patient = usePatient();

/** A relay that lists `models` and answers everything else by `answer`. */
async function withRelay<Result>(
  models: readonly string[],
  answer: (path: string, body: Record<string, unknown>) => Response,
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/health") return Response.json({ name: "plansocket" });
      if (pathname === "/v1/models") return Response.json({ data: models.map((id) => ({ id })) });
      return answer(pathname, (await request.json()) as Record<string, unknown>);
    },
  });
  try {
    return await use(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.stop(true);
  }
}

const ANSWERS = ["chat", "chat-sse", "responses", "resp-sse", "messages", "completions", "ollama"];
const refusing = (status: number, error: object) => () => Response.json({ error }, { status });

test("nothing is asked while the login does not work", async () => {
  const { code, find, checks } = await patient.examine(["--live"]);
  expect([code, find("live")]).toEqual([
    1,
    { id: "live", status: "skip", summary: "needs a login and a backend that work" },
  ]);
  expect(checks.filter(({ id }) => id.startsWith("live"))).toHaveLength(1);
  expect(patient.backend.counts.responses).toBe(0);
});

test("an API key's answers are read as the public API writes them", async () => {
  const asked: unknown[] = [];
  const answer = (path: string, body: Record<string, unknown>) => {
    asked.push(body["model"]);
    const isChat = path.endsWith("completions");
    if (body["stream"] === true) {
      const frames = isChat
        ? ['{ "choices": [ { "delta": { "content": "o" } } ] }', '{"choices":[{"delta":{"content":"k"}}]}', "[DONE]"]
        : ['{ "type": "response.output_text.delta", "delta": "ok" }', '{"type":"response.completed"}'];
      return new Response(frames.map((frame) => `data: ${frame}\r\n\r\n`).join(""));
    }
    const others: Readonly<Record<string, object>> = {
      "/v1/messages": {
        content: [
          { type: "thinking", thinking: "hm" },
          { type: "text", text: "ok" },
        ],
      },
      "/v1/completions": { choices: [{ text: "ok" }] },
      "/api/chat": { message: { content: "ok" }, done: true },
    };
    const other = others[path];
    if (other) return Response.json(other);
    const reply = isChat
      ? { choices: [{ message: { role: "assistant", content: "ok" } }] }
      : {
          output: [
            { type: "reasoning", summary: [] },
            { type: "message", content: [{ text: "ok" }] },
          ],
        };
    return new Response(JSON.stringify(reply, undefined, 2));
  };
  const models = ["gpt-4o-mini-transcribe", "text-embedding-3", "gpt-5-pro", "gpt-5-mini", "gpt-5"];
  await withRelay(models, answer, async (url) => {
    const { code, find } = await patient.examine(["--live", "--url", url]);
    expect(code).toBe(0);
    for (const id of ANSWERS) expect(find(id)?.summary).toMatch(/^gpt-5-mini: ok \(\d+ ms\)$/);
  });
  expect(asked).toEqual(Array.from({ length: 7 }, () => "gpt-5-mini"));
});

test.each<[string, () => Response, string, string]>([
  [
    "the plan is used up",
    refusing(429, { code: "usage_limit_reached", message: "The usage limit has been reached." }),
    "429: The usage limit has been reached.",
    "Wait until it ends; `plansocket usage` shows how full the plan is.",
  ],
  [
    "the login died",
    refusing(401, { code: "codex_auth_required", message: "The login was revoked." }),
    "401: The login was revoked.",
    "Run `plansocket login` (or `codex login`) to sign in again.",
  ],
  [
    "a web page came",
    () => new Response("<html>\n<h1>Bad gateway", { status: 502 }),
    "502: <html> <h1>Bad gateway",
    "Try again in a moment; `plansocket doctor` on the relay's machine looks further.",
  ],
  ["nothing came", () => new Response("{}"), "gpt-5.5 answered without any text.", "Try again in a moment."],
])("%s", async (_case, answer, summary, fix) => {
  await withRelay(["gpt-5.5"], answer, async (url) => {
    const { code, find } = await patient.examine(["--live", "--url", url]);
    expect(code).toBe(1);
    for (const id of ANSWERS) expect(find(id)).toEqual({ id, status: "fail", summary, fix });
  });
});

test("another program at that address, or a relay that lists no model", async () => {
  const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
  expect((await patient.examine(["--live", "--url", `http://127.0.0.1:${other.port}`])).checks).toEqual([
    {
      id: "health",
      status: "fail",
      summary: `http://127.0.0.1:${other.port} answers 200, and not as a plansocket.`,
      fix: "Check the address after --url.",
    },
  ]);
  await other.stop(true);
  const never = () => new Response("", { status: 500 });
  await withRelay([], never, async (url) => {
    const { find } = await patient.examine(["--live", "--url", url]);
    expect(find("models")).toMatchObject({ status: "fail", summary: "The list of models is empty." });
    expect(find("chat")).toEqual({ id: "chat", status: "skip", summary: "no model to ask" });
  });
});

test("--url alone costs nothing: it is refused", async () => {
  const { code, err, out } = await patient.home.run(["doctor", "--url", "http://127.0.0.1:9"]);
  expect([code, out, err]).toEqual([
    2,
    "",
    "plansocket: --url belongs to --live, which costs a little of the plan.\n  Add --live to try that relay.\n",
  ]);
});

test("colours are for terminals, unless NO_COLOR is set", async () => {
  patient.writeLogin();
  const green = "\u001b[32m✓\u001b[0m login            dev@example.com";
  expect((await patient.home.onTerminal(["doctor"], "")).screen).toContain(green);
  const { screen, code } = await patient.home.onTerminal(["doctor"], "", { NO_COLOR: "1" });
  expect(screen).toContain("✓ login            dev@example.com");
  expect([code, screen.includes("\u001b[32m")]).toEqual([0, false]);
});

describe("the text of an answer", () => {
  test("is empty where there is none", () => {
    for (const read of [textOfChat, textOfChatStream, textOfResponse, textOfResponseStream]) {
      for (const raw of ["", "null", "data: x", '{"choices":[],"output":[{}]}']) expect(read(raw).text).toBe("");
    }
  });

  test("is not whole without the stream's end", () => {
    expect(textOfChatStream('data: {"choices":[{"delta":{"content":"o"}}]}\n\n')).toEqual({
      text: "o",
      isWhole: false,
    });
    expect(textOfResponseStream('data: {"type":"response.output_text.delta","delta":"o"}\n\n').isWhole).toBe(false);
  });

  test("is a failure when the stream says so", () => {
    expect(textOfChatStream('data: {"error":{"message":"full"}}\n\n').failure).toBe("full");
    const failed = '{"type":"response.failed","response":{"error":{"message":"full"}}}';
    expect(textOfResponseStream(`event: response.failed\ndata: ${failed}\n\n`).failure).toBe("full");
    expect(textOfResponseStream('data: {"type":"error","message":"full"}\n\n').failure).toBe("full");
  });
});
