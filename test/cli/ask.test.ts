import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { answerTo } from "../../src/cli/ask/answer.ts";
import { CommandHome, type RunningCommand } from "../support/cli.ts";
import { demoHome } from "../support/demo-home.ts";

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");

describe("ask with a relay that runs", () => {
  const home = new CommandHome();
  let relay: RunningCommand;
  let port = "";
  beforeAll(async () => {
    relay = home.start(["demo", "--port", "0"]);
    [, port = ""] = await relay.says(/listens on http:\/\/127\.0\.0\.1:(\d+):/);
  });
  afterAll(async () => {
    relay.kill();
    await relay.ended;
    home.remove();
  });

  const ask = (args: readonly string[], input = "") => {
    const command = home.start(["ask", "--port", port, ...args]);
    command.type(input);
    command.endInput();
    return command.ended;
  };

  test("prints the answer on stdout and nothing else", async () => {
    const { code, out, err } = await ask(["hello", "there"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/You said: “hello there”\n$/);
  });

  test("adds what is piped in to the question, and takes it alone", async () => {
    expect((await ask(["Review this:"], "line one\n")).out).toContain("“Review this:\n\nline one”");
    expect((await ask([], "only piped")).out).toContain("“only piped”");
  });

  test("takes words behind -- and dashes with text as they are", async () => {
    expect((await ask(["--", "--port", "means?"])).out).toContain("“--port means?”");
    expect((await ask(["- what is this?"])).out).toContain("“- what is this?”");
  });

  test("--json prints answer, model and token counts once", async () => {
    const { out } = await ask(["hello", "--json", "--effort", "low"]);
    expect(JSON.parse(out)).toMatchObject({
      model: expect.stringContaining("gpt"),
      answer: expect.stringContaining("at low effort"),
      usage: { output_tokens: expect.any(Number) },
    });
  });

  test("sends an image of a known format and refuses other files", async () => {
    writeFileSync(join(home.path, "a.png"), PNG);
    writeFileSync(join(home.path, "b.png"), "text");
    expect((await ask(["What is this?", "--image", "~/a.png"])).code).toBe(0);
    expect(await ask(["What?", "--image", "b.png"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("b.png is not a PNG, JPEG, GIF or WebP image."),
    });
    expect(await ask(["What?", "--image", "c.png"])).toMatchObject({ code: 2, err: expect.stringContaining("ENOENT") });
  });

  test.each([
    [["fault:usage_limit"], 1, "The usage limit has been reached"],
    [["hi", "--model", "gpt-0-none"], 1, "The model 'gpt-0-none' does not exist"],
    [[], 2, "The question is missing."],
    [["hi", "--modle", "x"], 2, "Did you mean '--model'?"],
  ])("%j fails with a reason and nothing on stdout", async (args, code, message) => {
    const ended = await ask(args);
    expect(ended).toMatchObject({ code, out: "" });
    expect(ended.err).toContain(message);
  });
});

describe("ask without a relay", () => {
  const demo = demoHome(({ accessToken, accountId }) => ({
    OPENAI_ACCESS_TOKEN: accessToken,
    OPENAI_CHATGPT_ACCOUNT_ID: accountId,
  }));

  test("starts one for the question, and ends it", async () => {
    const { code, out, err } = await demo.home.run(["ask", "hello", "--port", "0"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).not.toBe("");
  });
});

test("ask without a login says so, and how to sign in", async () => {
  const home = new CommandHome();
  const { code, err } = await home.run(["ask", "hello", "--port", "0"]);
  home.remove();
  expect(code).toBe(1);
  expect(err).toContain("plansocket login");
});

test.each([
  ['{"type":"response.failed","response":{"error":{"code":"x","message":"It broke."}}}', "It broke."],
  ['{"type":"error","error":{"message":"Overloaded."}}', "Overloaded."],
  [
    '{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}',
    "max_output_tokens",
  ],
  ['{"type":"response.output_text.delta","delta":"half"}', "ended before its end"],
])("a stream that goes wrong fails: %s", async (event, message) => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(`data: ${event}\n\n`, { headers: { "content-type": "text/event-stream" } }),
  });
  const asked = answerTo(
    { url: `http://127.0.0.1:${server.port}`, apiKey: undefined },
    { text: "hi", image: undefined },
    { model: "m", effort: undefined },
    () => {},
  );
  await expect(asked).rejects.toThrow(message);
  await server.stop(true);
});
