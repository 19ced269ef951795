import { describe, expect, spyOn, test } from "bun:test";
import { createLog } from "../../src/cli/log.ts";
import { readableLine } from "../../src/cli/log-line.ts";
import { requestLine } from "../../src/cli/request-line.ts";
import { redact } from "../../src/lib/redact.ts";

/** What a log writes, as its reader gets it. */
async function written(format: "pretty" | "json", write: (log: Awaited<ReturnType<typeof createLog>>) => void) {
  const log = await createLog({ level: "info", format, secrets: ["owner-key", undefined, "x"], now: () => 0 });
  let text = "";
  const spy = spyOn(process.stderr, "write").mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    write(log);
  } finally {
    spy.mockRestore();
  }
  return text;
}

const REQUEST = {
  method: "POST",
  route: "/v1/chat/completions",
  status: 200,
  model_asked: "gpt-5.5-high",
  model: "gpt-5.5",
  effort: "high",
  stream: true,
  ttft_ms: 210,
  total_ms: 1812,
  tokens_in: 1204,
  tokens_cached: 1024,
  tokens_out: 56,
  tokens_reasoning: 0,
  finish: "stop",
  request_id: "abc",
};

test("a request is one line for people", () => {
  expect(requestLine(REQUEST)).toBe(
    "POST /v1/chat/completions 200 · gpt-5.5-high → gpt-5.5 high · 1.8 s (first 210 ms) streamed · 1,204 in (85 % cached), 56 out · stop · abc",
  );
  expect(
    requestLine({ method: "GET", route: "/x", status: 404, total_ms: 0.4, client_gone: true, adjusted: "a,b" }),
  ).toBe("GET /x 404 · 0.4 ms · client left · adjusted a,b");
  expect(requestLine({ ...REQUEST, key: "laptop" })).toContain(" · stop · key laptop · abc");
  expect(requestLine({ ...REQUEST, prefix_changed: "tools", tokens_cached: 0 })).toContain(
    " · 1,204 in (changed at tools), 56 out · ",
  );
  expect(requestLine({ ...REQUEST, prefix_changed: "input[4]", fallback: "reserve" })).toContain(
    " · 1,204 in (85 % cached, changed at input[4]), 56 out · stop · fallback reserve · ",
  );
});

test("and one object for machines", async () => {
  const text = await written("json", (log) => log.info("request", { ...REQUEST, code: undefined }));
  expect(text.split("\n")).toHaveLength(2);
  expect(JSON.parse(text)).toEqual({ time: "1970-01-01T00:00:00.000Z", level: "info", message: "request", ...REQUEST });
});

test("logs shows lines for people with local date and 24-hour time, and leaves other lines as they are", () => {
  const line = JSON.stringify({
    time: "2026-03-14T21:05:07.000Z",
    level: "warn",
    message: "Slow.",
    after_ms: 5,
    more: { a: 1 },
  });
  const local = new Date("2026-03-14T21:05:07.000Z");
  const hour = String(local.getHours()).padStart(2, "0");
  expect(readableLine(line, false)).toMatch(
    new RegExp(`^2026-03-1[345] ${hour}:\\d\\d:07 warn  Slow\\. after_ms=5 more=\\{"a":1\\}$`),
  );
  expect(
    readableLine(
      JSON.stringify({ time: "2026-03-14T21:05:07Z", level: "info", message: "request", ...REQUEST }),
      false,
    ),
  ).toContain(" info  POST /v1/chat/completions 200 · ");
  for (const other of [
    "plansocket listens on http://127.0.0.1:1",
    "{",
    '{"level":"info"}',
    '{"time":"x","level":"info","message":"m"}',
  ]) {
    expect(readableLine(other, true)).toBe(other);
  }
  expect(readableLine("bad \u001b[2Jline\u202e", true)).toBe("bad line ");
});

const HOSTILE = 'a\r\nINFO forged\u001b[2J\u009b31m\u2028\u202egnp.exe\u0000"';

test.each(["pretty", "json"] as const)("what a client wrote stays inside its %s line", async (format) => {
  const text = await written(format, (log) => {
    log.info("request", { ...REQUEST, model_asked: HOSTILE, route: `/v1/${HOSTILE}`, request_id: HOSTILE });
    log.warn(`message ${HOSTILE}`, { field: HOSTILE });
  });
  // The colors of the level.
  // eslint-disable-next-line no-control-regex -- colors begin with one
  const plain = text.replace(/\u001b\[\d+m/g, "");
  // eslint-disable-next-line no-control-regex -- exactly these must not be there
  expect(plain).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/);
  expect(plain.split("\n").filter((line) => line.trim().startsWith("INFO forged"))).toEqual([]);
  expect(plain.trimEnd().split("\n").length).toBe(2);
  if (format === "json") {
    const [first = ""] = text.split("\n");
    expect(JSON.parse(first)).toMatchObject({ model_asked: HOSTILE });
  }
});

test.each(["pretty", "json"] as const)("no secret gets into a %s line", async (format) => {
  const secrets = [
    "Bearer abcdefgh12345678",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln",
    "sk-proj-0123456789abcdef0123",
    "rt_0123456789abcdef0123",
    "owner-key",
    "http://user:hunter2@",
  ];
  const text = await written(format, (log) => {
    for (const secret of secrets) log.error(`at ${secret}proxy`, { text: `x ${secret} y` });
  });
  for (const secret of [...secrets, "hunter2"]) expect(text).not.toContain(secret);
  expect(text).toContain("[secret]");
});

describe("redacting", () => {
  test("leaves everything else as it is", () => {
    const text = 'He said "sk-it" to the bearer of bad news at https://example.com/a?b=c@d, eyJ and rt-1';
    expect(redact(text, ["", "abc"])).toBe(text);
  });
});

test("level and secrets can change while it is written", async () => {
  const text = await written("json", (log) => {
    log.debug("one");
    expect(log.isDebug).toBe(false);
    log.adjust({ level: "debug", secrets: ["new-key"] });
    expect(log.isDebug).toBe(true);
    log.debug("two new-key owner-key");
    log.adjust({ level: "silent" });
    log.error("three");
  });
  expect(text).not.toMatch(/one|three/);
  expect(text).toContain("two [secret] owner-key");
});
