import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { report } from "./report.ts";

let demo: DemoRelay;
beforeAll(() => {
  demo = startDemoRelay();
});
afterAll(() => demo.stop());

const HANG_MS = 20_000;

/** Where each route keeps the client's words, and its tools. */
const ROUTES: Readonly<Record<string, (hostile: string) => string[]>> = {
  "/v1/chat/completions": (value) => [
    `{"model":"gpt-5.5","messages":[{"role":"user","content":${value}}]}`,
    `{"model":"gpt-5.5","messages":${value}}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}],"tools":${value}}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":${value}}}]}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":${value}}}}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}],"temperature":${value},"n":${value},"stop":${value},"unheard_of":${value}}`,
    `{"model":${value},"messages":[{"role":"user","content":"hi"}]}`,
  ],
  "/v1/responses": (value) => [
    `{"model":"gpt-5.5","input":${value}}`,
    `{"model":"gpt-5.5","input":[{"role":"user","content":${value}}]}`,
    `{"model":"gpt-5.5","input":"hi","tools":${value}}`,
    `{"model":"gpt-5.5","input":"hi","tools":[{"type":"function","name":"f","parameters":${value}}]}`,
    `{"model":"gpt-5.5","input":"hi","previous_response_id":${value}}`,
    `{"model":"gpt-5.5","input":"hi","metadata":${value},"text":${value},"reasoning":${value}}`,
  ],
  "/v1/completions": (value) => [
    `{"model":"gpt-5.5","prompt":${value}}`,
    `{"model":"gpt-5.5","prompt":"hi","stop":${value}}`,
  ],
  "/v1/messages": (value) => [
    `{"model":"gpt-5.5","max_tokens":9,"messages":[{"role":"user","content":${value}}]}`,
    `{"model":"gpt-5.5","max_tokens":9,"messages":${value}}`,
    `{"model":"gpt-5.5","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":${value},"system":${value}}`,
    `{"model":"gpt-5.5","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":${value}}]}`,
    `{"model":"gpt-5.5","max_tokens":${value},"messages":[{"role":"user","content":"hi"}]}`,
  ],
  "/v1/messages/count_tokens": (value) => [
    `{"model":"gpt-5.5","messages":[{"role":"user","content":${value}}]}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":${value}}]}`,
  ],
  "/api/chat": (value) => [
    `{"model":"gpt-5.5","messages":[{"role":"user","content":${value}}]}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi","images":${value}}]}`,
    `{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}],"tools":${value},"format":${value},"options":${value}}`,
  ],
  "/api/generate": (value) => [
    `{"model":"gpt-5.5","prompt":${value}}`,
    `{"model":"gpt-5.5","prompt":"hi","format":${value},"system":${value}}`,
  ],
  "/v1/responses/compact": (value) => [
    `{"model":"gpt-5.5","input":${value}}`,
    `{"model":"gpt-5.5","input":[{"role":"user","content":${value}}],"instructions":${value},"tools":${value}}`,
    `{"model":"gpt-5.5","previous_response_id":${value}}`,
    value,
  ],
  "/v1/responses/input_tokens": (value) => [
    `{"input":${value}}`,
    `{"input":"hi","tools":${value},"text":${value}}`,
    `{"model":${value}}`,
    value,
  ],
  "/v1/images/generations": (value) => [
    `{"prompt":${value}}`,
    `{"prompt":"x","model":${value}}`,
    `{"prompt":"x","n":${value},"size":${value},"quality":${value},"output_compression":${value}}`,
    `{"prompt":"x","stream":true,"partial_images":${value}}`,
    `{"prompt":"x","response_format":${value},"unheard_of":${value}}`,
  ],
  "/v1/images/edits": (value) => [
    `{"prompt":"x","image":${value}}`,
    `{"prompt":"x","images":[{"image_url":${value}}]}`,
    `{"prompt":"x","image":"https://a.example/a.png","mask":${value}}`,
    `{"prompt":${value},"images":${value}}`,
  ],
  "/api/show": (value) => [`{"model":${value}}`, value],
};

const nested = (depth: number, open: string, inner: string, close: string) =>
  open.repeat(depth) + inner + close.repeat(depth);
const listOf = (count: number, entry: (index: number) => string) =>
  `[${Array.from({ length: count }, (_, index) => entry(index)).join(",")}]`;

/** JSON that programs trip over. */
const HOSTILE: Readonly<Record<string, string>> = {
  "arrays in arrays, 100 deep": nested(100, "[", "", "]"),
  "arrays in arrays, 50,000 deep": nested(50_000, "[", "", "]"),
  "objects in objects, 50,000 deep": nested(50_000, '{"properties":', "{}", "}"),
  "content in content, 20,000 deep": nested(20_000, '[{"type":"text","content":', '"x"', "}]"),
  "schemas in schemas, 5,000 deep": nested(5000, '{"type":"object","properties":{"a":', "{}", "}}"),
  "100,000 nulls": listOf(100_000, () => "null"),
  "30,000 empty objects": listOf(30_000, () => "{}"),
  "10,000 chat tools": listOf(
    10_000,
    (index) => `{"type":"function","function":{"name":"tool_${index}","parameters":{"type":"object","properties":{}}}}`,
  ),
  "10,000 tools of Responses": listOf(10_000, (index) => `{"type":"function","name":"tool_${index}","parameters":{}}`),
  "10,000 tools of Messages": listOf(10_000, (index) => `{"name":"tool_${index}","input_schema":{"type":"object"}}`),
  "10,000 tools of one name": listOf(10_000, () => '{"type":"function","name":"f","function":{"name":"f"}}'),
  "10,000 keys": `{${Array.from({ length: 10_000 }, (_, index) => `"k${index}":1`).join(",")}}`,
  "one key ten thousand times": `{${Array.from({ length: 10_000 }, (_, index) => `"k":${index}`).join(",")}}`,
  "keys twice": '{"type":"text","type":"image_url","text":"a","text":null,"role":"user","role":"system"}',
  "keys of prototypes": '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"hasOwnProperty":1}',
  "a lone high surrogate": '"\\ud800"',
  "a lone low surrogate": '"a\\udfffb"',
  "control characters": '"\\u0000\\u0001\\u001b[31m\\r\\nHTTP/1.1 200 OK\\r\\n"',
  "line separators": '"\\u2028\\u2029\\ufeff\\u200b"',
  "a number beyond all": "1e400",
  "a number below all": "-1e400",
  "a number of 10,000 digits": "9".repeat(10_000),
  "the smallest number": "5e-324",
  "minus zero": "-0",
  "not a number": "NaN",
  infinity: "Infinity",
  nothing: "",
  undefined: "undefined",
  "a single quote": "'x'",
  "a comment": "/* */ 1",
  "a comma too many": "[1,]",
  true: "true",
  null: "null",
  "a fraction": "0.1",
  "an empty text": '""',
  "an empty list": "[]",
  "an empty object": "{}",
  "a text of a million characters": `"${"x".repeat(1_000_000)}"`,
  "a data URL of nothing": '"data:image/png;base64,"',
  "a data URL of much": `"data:image/png;base64,${"A".repeat(900_000)}"`,
  "semicolons of a data URL": `"data:image/png${";a=b".repeat(50_000)},"`,
  "spaces before a stop": `"${" ".repeat(200_000)}x"`,
  "a name of dashes": `"${"gpt-".repeat(50_000)}high"`,
  "a name with every effort": `"gpt-5.5${"-high-fast".repeat(20_000)}"`,
};

/** A refusal in the voice of whoever is spoken to there. */
function expectRefusal(path: string, status: number, text: string, shown: string): void {
  const parsed = parseJson(text);
  const said = isObject(parsed) ? parsed["error"] : undefined;
  if (status < 400 || status >= 500 || said === undefined) throw new Error(`no refusal: ${status} ${shown}`);
  if (path.startsWith("/api/")) {
    expect(typeof said).toBe("string");
    return;
  }
  if (!isObject(said) || typeof said["message"] !== "string" || said["message"] === "") {
    throw new Error(`says nothing: ${shown}`);
  }
  if (path.startsWith("/v1/messages")) expect((parsed as Record<string, unknown>)["type"]).toBe("error");
  else if (said["param"] !== null) expect(typeof said["param"]).toBe("string");
  // A message quotes what is wrong, not all of it.
  expect(text.length).toBeLessThan(4000);
}

describe.each(Object.entries(ROUTES))("%s", (path, bodiesWith) => {
  test("every hostile value in every place gets an answer or a refusal", async () => {
    let tried = 0;
    for (const [name, value] of Object.entries(HOSTILE)) {
      for (const [place, body] of bodiesWith(value).entries()) {
        tried += 1;
        const reply = await fetch(demo.relay.url + path, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
          signal: AbortSignal.timeout(HANG_MS),
        });
        const text = await reply.text();
        const shown = `${name} in place ${place}: ${text.slice(0, 300)}`;
        if (reply.status !== 200) expectRefusal(path, reply.status, text, shown);
      }
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    report("input", `${path}: values that programs trip over`, tried);
  }, 300_000);
});

test.each([
  ["/v1/chat/completions", { stop: 5 }],
  ["/v1/messages", { max_tokens: 9, stop_sequences: 65 }],
  ["/api/chat", { options: { stop: 65 } }],
])(
  "%s takes some stop sequences, not thousands, which every piece of text would be searched for",
  async (path, over) => {
    const words = (count: number) => Array.from({ length: count }, (_, index) => `stop ${index}`);
    const body = JSON.stringify(
      { model: "gpt-5.5", messages: [{ role: "user", content: "hi" }], ...over },
      (key, value) => (key.startsWith("stop") && typeof value === "number" ? words(value) : (value as unknown)),
    );
    const headers = { "content-type": "application/json" };
    const reply = await fetch(demo.relay.url + path, { method: "POST", headers, body });
    expect(reply.status).toBe(400);
    expect(await reply.text()).toContain("stop");
  },
);

test("frames on a socket are refused in frames, and the socket goes on", async () => {
  const socket = new WebSocket(`${demo.relay.url.replace("http", "ws")}/v1/responses`);
  await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
  let tried = 0;
  /** The answer's last event. */
  const ask = async (frame: string) => {
    tried += 1;
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
    const onMessage = ({ data }: MessageEvent) => {
      const event = JSON.parse(String(data)) as Record<string, unknown>;
      if (/^(error|response\.(completed|incomplete|failed))$/.test(String(event["type"]))) resolve(event);
    };
    const timer = setTimeout(() => reject(new Error(`no answer to ${frame.slice(0, 200)}`)), HANG_MS);
    socket.addEventListener("message", onMessage);
    socket.addEventListener("close", () => reject(new Error(`closed after ${frame.slice(0, 200)}`)));
    socket.send(frame);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      socket.removeEventListener("message", onMessage);
    }
  };
  const frames = Object.values(HOSTILE).flatMap((value) => [
    value,
    `{"type":${value}}`,
    `{"type":"response.create","model":"gpt-5.5","input":${value}}`,
    `{"type":"response.create","model":"gpt-5.5","input":"hi","previous_response_id":${value}}`,
    `{"type":"response.create","model":"gpt-5.5","input":"hi","client_metadata":${value},"generate":${value}}`,
    `{"type":"response.create","model":"gpt-5.5","generate":false,"input":${value}}`,
  ]);
  for (const frame of frames) {
    const event = await ask(frame);
    if (event["type"] === "error")
      expect([frame.slice(0, 100), Number(event["status"]) < 500]).toEqual([frame.slice(0, 100), true]);
  }
  const last = await ask('{"type":"response.create","model":"gpt-5.5","input":"hi"}');
  expect(last["type"]).toBe("response.completed");
  socket.close();
  report("input", "frames of a WebSocket", tried);
}, 300_000);

const QUERIES = [
  "",
  "?",
  "?limit=",
  "?limit=-1",
  "?limit=1e9",
  "?limit=NaN",
  "?after=%00",
  "?after=__proto__",
  "?order=%ff",
  "?client_version=",
  "?client_version=%0d%0aX:1",
  `?client_version=${"9".repeat(5000)}`,
  "?client_version=../../x",
  "?limit=1&limit=2&after_id=x&before_id=y",
];
const NAMES = [
  "constructor",
  "__proto__",
  "..",
  "%2e%2e",
  "%00",
  "%ff",
  "a%0d%0ab",
  "%F0%9F%98%80",
  "x".repeat(3000),
  "%",
  "%E0%A4%A",
  " ",
  "gpt-5.5/../../x",
];

test("every name and query of GET routes gets an answer or a refusal", async () => {
  const paths = ["/v1/models", "/api/tags", "/api/ps", "/api/version", "/health", "/ready", "/metrics"].flatMap(
    (path) => QUERIES.map((query) => path + query),
  );
  const named = ["/v1/models/", "/v1/responses/"].flatMap((path) =>
    NAMES.flatMap((name) => QUERIES.slice(0, 6).map((query) => path + name + query)),
  );
  const items = NAMES.flatMap((name) => QUERIES.map((query) => `/v1/responses/${name}/input_items${query}`));
  const all = [...paths, ...named, ...items];
  for (const path of all) {
    for (const headers of [{}, { "anthropic-version": "2023-06-01" }] as Record<string, string>[]) {
      const reply = await fetch(demo.relay.url + path, { headers, signal: AbortSignal.timeout(HANG_MS) });
      const text = await reply.text();
      if (reply.status !== 200 && !(reply.status >= 400 && reply.status < 500))
        throw new Error(`${path}: ${reply.status} ${text.slice(0, 300)}`);
    }
  }
  report("input", "names and queries of GET routes", all.length * 2);
}, 120_000);
