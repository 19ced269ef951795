import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isObject } from "../../src/lib/json.ts";
import type { StandIn } from "../stand-in/backend.ts";
import type { Client, Task } from "./client.ts";
import type { Finished } from "./processes.ts";

export const MAIN = join(import.meta.dir, "../../src/main.ts");

/** Settings by which the relay's commands use the stand-in with a login of its own. */
export function loginOf(backend: StandIn): Record<string, string> {
  const { accessToken, accountId } = backend.issueLogin();
  return {
    PLANSOCKET_BASE_URL: backend.baseUrl,
    CODEX_REFRESH_TOKEN_URL_OVERRIDE: backend.tokenUrl,
    OPENAI_ACCESS_TOKEN: accessToken,
    OPENAI_CHATGPT_ACCOUNT_ID: accountId,
  };
}

/** What was wrong with a run, or undefined: judged by what the backend saw and by the file that the client's tool wrote. */
export function judge(
  client: Client,
  task: Task,
  backend: StandIn,
  { code, said }: Finished,
  env: Readonly<Record<string, string>>,
): string | undefined {
  if (backend.refusals.length > 0) return `the backend refused ${JSON.stringify(backend.refusals)}`;
  const turns = turnsOf(backend);
  const isEnough = client.hasNoTools === true ? code === 0 && turns.length > 0 : turns.length > 1;
  const problem = client.hasNoTools === true ? undefined : problemOfFile(env, said);
  if (problem !== undefined) return problem;
  if (!isEnough) return `${turns.length} turns; ${said}`;
  return problemOfTransport(client, task, backend);
}

export function problemOfFile(env: Readonly<Record<string, string>>, said: string): string | undefined {
  const file = join(env["HOME"] ?? "", "work/out.txt");
  if (!existsSync(file)) return `no file; ${said}`;
  const text = readFileSync(file, "utf8");
  return text.includes("HELLO-RELAY") ? undefined : `the file holds ${JSON.stringify(text.slice(0, 200))}`;
}

function turnsOf(backend: StandIn) {
  return backend.requests.filter((request) => request.path.endsWith("/responses"));
}

/** The backend has to be asked as was set: a way that fails falls back to the other, which works as well. */
function problemOfTransport(client: Client, task: Task, backend: StandIn): string | undefined {
  const frames = turnsOf(backend).map(({ frame }) => frame);
  const transport = client.upstream?.(task) ?? task.transport;
  if (transport === "http") return frames.every((frame) => frame === undefined) ? undefined : "came over sockets";
  if (transport === "auto") return undefined;
  if (frames.includes(undefined)) return `${frames.filter((frame) => frame === undefined).length} turns came over HTTP`;
  if (client.isChained !== true || task.way !== "setup") return undefined;
  // Every turn goes on from the one before, the first from what was sent ahead.
  const previous = frames.map((frame) => (isObject(frame) ? frame["previous_response_id"] : undefined));
  const isChain = previous.every((id) => typeof id === "string" && id.startsWith("resp_"));
  return isChain ? undefined : `turns go on from ${JSON.stringify(previous)}`;
}
