import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { Log, LogFields } from "../../src/lib/log.ts";
import { startDemoRelay } from "../support/demo.ts";
import type { StandIn } from "../stand-in/backend.ts";
import type { Attempt } from "./attempt.ts";
import type { Client, Task } from "./client.ts";
import type { Installed } from "./install.ts";
import { finished, LIMIT_MS } from "./processes.ts";
import { judge, loginOf, MAIN } from "./verdict.ts";

/**
 * As the built-in provider, with a login of the CLI's own, for another account: it searches on its way, then asks what
 * `/status` shows. Nothing that it asks may be left without an answer.
 */
export async function asBuiltin(
  client: Client,
  { path }: Installed,
  task: Task,
  env: Record<string, string>,
): Promise<Attempt> {
  const refused: string[] = [];
  const demo = startDemoRelay({ log: refusalsInto(refused), upstream: { transport: task.transport } });
  const { backend, relay } = demo;
  try {
    backend.script({ kind: "answer" }, { kind: "answer", rewrite: searching });
    const setup = ["setup", client.name, "--as-builtin", "--yes", "--model", task.model, "--port", String(relay.port)];
    const done = await finished([process.execPath, MAIN, ...setup], env, loginOf(backend));
    if (done.code !== 0) return { problem: `setup: ${done.said}` };
    const own = backend.issueLogin({ accountId: "99999999-2222-4333-8444-555555555555" });
    writeFileSync(join(env["HOME"] ?? "", ".codex/auth.json"), JSON.stringify(own.authJson));
    const end = await finished([path, ...client.args(task)], env);
    const problem = judge(client, task, backend, end, env) ?? (await problemOfQuestions(path, task, backend, env));
    return { problem: problem ?? (refused.length > 0 ? `left without an answer: ${refused.join(", ")}` : undefined) };
  } finally {
    await demo.stop();
  }
}

async function problemOfQuestions(
  path: string,
  task: Task,
  backend: StandIn,
  env: Record<string, string>,
): Promise<string | undefined> {
  const status = await limitsOf(path, env);
  if (!status.includes('"usedPercent"')) return `no limits: ${status}`;
  const asked = new Set(backend.requests.map((request) => request.path.replace(/\?.*/, "")));
  // Lite models alone search and draw by endpoints of their own.
  const wanted = ["/backend-api/wham/usage", ...(task.model === "gpt-5.5" ? [] : ["/backend-api/codex/alpha/search"])];
  const missing = wanted.filter((route) => !asked.has(route));
  return missing.length > 0 ? `never asked ${missing.join(", ")}` : undefined;
}

/** A log that keeps what was refused. */
function refusalsInto(refused: string[]): Log {
  const note = (_message: string, fields: LogFields = {}) => {
    if (Number(fields["status"]) >= 400) refused.push(`${String(fields["route"])} (${String(fields["status"])})`);
  };
  return { debug: note, info: note, warn: note, error: note };
}

/** The answer with its call of the code tool changed into a search. */
function* searching(events: Iterable<JsonObject>): Generator<JsonObject> {
  const input =
    'text(await tools.web__run({ search_query: [{ q: "bun" }] }));' +
    'await tools.image_gen__imagegen({ prompt: "a red dot" });';
  for (const event of events) {
    const { item } = event;
    const isOfCode = isObject(item) && item["type"] === "custom_tool_call" && item["name"] === "exec";
    if (String(event["type"]).startsWith("response.custom_tool_call_input")) continue;
    yield isOfCode && event["type"] === "response.output_item.done" ? { ...event, item: { ...item, input } } : event;
  }
}

/** What the CLI's own server tells its windows of the plan's limits. */
async function limitsOf(path: string, env: Record<string, string>): Promise<string> {
  // It takes no profile.
  const profile = readFileSync(join(env["HOME"] ?? "", ".codex/plansocket.config.toml"), "utf8");
  const settings = Object.entries(Bun.TOML.parse(profile)).filter(([, value]) => typeof value === "string");
  const flags = settings.flatMap(([name, value]) => ["-c", `${name}=${JSON.stringify(value)}`]);
  const child = Bun.spawn([path, "app-server", ...flags, "-c", "features.plugins=false"], {
    cwd: join(env["HOME"] ?? "", "work"),
    env,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const timer = setTimeout(() => child.kill(), LIMIT_MS);
  const messages = [
    { id: 1, method: "initialize", params: { clientInfo: { name: "test", title: "test", version: "1" } } },
    { method: "initialized" },
    { id: 2, method: "account/rateLimits/read" },
  ];
  await child.stdin.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  await child.stdin.flush();
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (/^\{.*"id":2[,}]/m.test(text)) break;
  }
  clearTimeout(timer);
  child.kill();
  return text;
}
