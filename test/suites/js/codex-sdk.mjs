/** Cases of @openai/codex-sdk, which runs the Codex CLI that it brings. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Codex } from "@openai/codex-sdk";
import { BASE, check, failure, MODEL, run } from "./harness.mjs";

const home = mkdtempSync(join(tmpdir(), "plansocket-suite-"));
const codex = new Codex({
  baseUrl: `${BASE}/v1`,
  apiKey: "any",
  env: { PATH: process.env["PATH"] ?? "", HOME: home, CODEX_HOME: home },
});
const options = {
  model: MODEL,
  workingDirectory: home,
  skipGitRepoCheck: true,
  sandboxMode: "danger-full-access",
  approvalPolicy: "never",
};
// A pixel.
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

await run({
  async "two turns of one thread"() {
    const thread = codex.startThread(options);
    for (const text of ["hello one", "hello two"]) {
      const { finalResponse, usage } = await thread.run(text);
      check(finalResponse.includes(text), `answered: ${finalResponse.slice(0, 200)}`);
      check(usage.output_tokens > 0, "no usage");
    }
  },

  async "a turn event by event"() {
    const { events } = await codex.startThread(options).runStreamed("hello three");
    const seen = [];
    for await (const { type } of events) seen.push(type);
    check(seen.at(0) === "thread.started" && seen.at(-1) === "turn.completed", seen.join());
  },

  async "a file by its own tools"() {
    const { items } = await codex.startThread(options).run("Write the text HELLO-RELAY to the file out.txt.");
    const file = join(home, "out.txt");
    check(existsSync(file) && readFileSync(file, "utf8").includes("HELLO-RELAY"), JSON.stringify(items).slice(0, 300));
  },

  async "a thread that is taken up again"() {
    const thread = codex.startThread(options);
    await thread.run("hello four");
    const { finalResponse } = await codex.resumeThread(thread.id, options).run("hello five");
    check(finalResponse.includes("hello five"), finalResponse);
  },

  async "an answer by a schema"() {
    const outputSchema = {
      type: "object",
      properties: { name: { type: "string" } },
      required: ["name"],
      additionalProperties: false,
    };
    const { finalResponse } = await codex.startThread(options).run("a person", { outputSchema });
    check(typeof JSON.parse(finalResponse).name === "string", finalResponse);
  },

  async "an image"() {
    const path = join(home, "pixel.png");
    writeFileSync(path, Buffer.from(PNG, "base64"));
    const input = [
      { type: "text", text: "hello six" },
      { type: "local_image", path },
    ];
    const { finalResponse } = await codex.startThread(options).run(input);
    check(finalResponse.includes("hello six"), finalResponse);
  },

  async "a turn that is given up"() {
    const stop = new AbortController();
    const { events } = await codex.startThread(options).runStreamed("hello seven", { signal: stop.signal });
    const error = await failure(async () => {
      for await (const _ of events) stop.abort();
    });
    check(/abort/i.test(String(error)), String(error));
  },

  async "a limit of the plan that is used up is told"() {
    const error = await failure(() => codex.startThread(options).run("fault:usage_limit"));
    check(/usage limit/i.test(String(error)), String(error));
  },
});
