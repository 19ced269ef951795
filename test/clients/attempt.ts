import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { startDemoRelay } from "../support/demo.ts";
import { asBuiltin } from "./as-builtin.ts";
import type { Client, Task } from "./client.ts";
import type { Installed } from "./install.ts";
import { endStragglers, finished } from "./processes.ts";
import { judge, loginOf, MAIN, problemOfFile } from "./verdict.ts";

/** The relay asks for it, so a client that was not told it gets nowhere. */
const KEY = "key-of-this-run";

/** What came of one run. */
export interface Attempt {
  readonly problem: string | undefined;
  /** Its backend, ended; undefined where the relay's own player stood in its place. */
  readonly backend?: StandIn;
}

/** Lets a client do its task in an empty home, which goes with what it left running. */
export async function attempt(client: Client, program: Installed, task: Task): Promise<Attempt> {
  // The path as processes see it, on which the end of those that stay behind depends.
  const home = realpathSync(mkdtempSync(join(tmpdir(), "plansocket-client-")));
  const work = join(home, "work");
  mkdirSync(work);
  for (const [name, text] of Object.entries(client.files ?? {})) writeFileSync(join(work, name), text);
  const env = { PATH: program.searchPath, HOME: home, TERM: "xterm", ...client.env };
  try {
    if (task.way === "run --demo") return await byDemo(client, task, env);
    if (task.way === "setup --as-builtin") return await asBuiltin(client, program, task, env);
    return task.way === "setup" ? await bySetup(client, program, task, env) : await byRun(client, task, env);
  } finally {
    endStragglers(home);
    rmSync(home, { recursive: true, force: true });
  }
}

async function bySetup(client: Client, { path }: Installed, task: Task, env: Record<string, string>): Promise<Attempt> {
  const demo = startDemoRelay({ relay: { apiKey: KEY }, upstream: { transport: task.transport } });
  const { backend, relay } = demo;
  try {
    const setup = ["setup", client.name, "--yes", "--model", task.model, "--port", String(relay.port)];
    const settings = { ...loginOf(backend), PLANSOCKET_API_KEY: KEY };
    const done = await finished([process.execPath, MAIN, ...setup], env, settings);
    if (done.code !== 0) return { problem: `setup: ${done.said}` };
    const end = await finished([path, ...client.args(task)], env);
    return { problem: judge(client, task, backend, end, env), backend };
  } finally {
    await demo.stop();
  }
}

async function byRun(client: Client, task: Task, env: Record<string, string>): Promise<Attempt> {
  const backend = startStandIn();
  try {
    const line = [process.execPath, MAIN, "run", "--model", task.model, "--", client.command, ...client.args(task)];
    const end = await finished(line, env, { ...loginOf(backend), PLANSOCKET_TRANSPORT: task.transport });
    return { problem: judge(client, task, backend, end, env), backend };
  } finally {
    await backend.stop();
  }
}

/** The relay's own player in the place of a backend, as somebody without a login meets it first. */
async function byDemo(client: Client, task: Task, env: Record<string, string>): Promise<Attempt> {
  const line = [process.execPath, MAIN, "run", "--demo", "--", client.command, ...client.args(task)];
  const { code, said } = await finished(line, env, { PLANSOCKET_TRANSPORT: task.transport });
  if (client.hasNoTools !== true) return { problem: problemOfFile(env, said) };
  return { problem: code === 0 ? undefined : said };
}
