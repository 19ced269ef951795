import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, parseJson } from "../../lib/json.ts";
import { unreachable } from "../../lib/unreachable.ts";
import {
  textOfChat,
  textOfChatStream,
  textOfCompletion,
  textOfMessage,
  textOfOllama,
  textOfResponse,
  textOfResponseStream,
  type Said,
} from "./answer-text.ts";
import { check, fail, noAnswer, ok, skip, type Finding, type Outcome } from "./finding.ts";
import { errorCode } from "../../lib/thrown.ts";

/** A relay to try, and how to get in. */
export interface Target {
  /** As in `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly apiKey: string | undefined;
}

/** Models think. */
const ANSWER_MS = 120_000;
const PROMPT = "Reply with the single word: ok";

/** Models of the public API that cannot chat, or only for much money. */
const NO_CHAT = /audio|realtime|transcribe|tts|image|search|research|instruct|embed|moderation|codex|-pro\b/;
/** Cheap ones first; what is not in the list costs as much as it costs. */
const SMALL = [/nano/, /mini/, /luna/, /spark/, /terra/];

/** One tiny request to every endpoint that clients use, as they would send it. Costs a little of the plan. */
export async function* liveFindings(target: Target): AsyncGenerator<Finding, void, undefined> {
  const alive = await timed("health", (signal) => health(target, signal));
  yield alive;
  if (alive.status !== "ok") return;
  const key = await timed("key", (signal) => keyCheck(target, signal));
  yield key;
  if (key.status !== "ok") return;
  const listed: { models?: string[] } = {};
  yield await timed("models", (signal) => models(target, listed, signal));
  const model = smallest(listed.models ?? []);
  for (const question of QUESTIONS) {
    yield model === undefined
      ? { id: question.id, ...skip("no model to ask") }
      : await timed(question.id, (signal) => ask(target, question, model, signal), ANSWER_MS);
  }
}

/** A check whose time is part of what it found. */
async function timed(id: string, run: (signal: AbortSignal) => Promise<Outcome>, limitMs?: number): Promise<Finding> {
  const startMs = performance.now();
  const late = noAnswer("There was no whole answer", limitMs, "Try again in a moment.");
  const limits = limitMs === undefined ? {} : { limitMs, late };
  const finding = await check(id, run, limits);
  const ms = Math.round(performance.now() - startMs);
  const summary = finding.status === "ok" ? `${finding.summary} (${ms} ms)` : finding.summary;
  return { ...finding, summary, detail: { ...finding.detail, ms } };
}

interface Question {
  readonly id: string;
  readonly path: string;
  readonly body: (model: string) => object;
  readonly read: (raw: string) => Said;
}

const chat = { messages: [{ role: "user", content: PROMPT }] };
const QUESTIONS: readonly Question[] = [
  {
    id: "chat",
    path: "/v1/chat/completions",
    body: (model) => ({ model, ...chat }),
    read: textOfChat,
  },
  {
    id: "chat-sse",
    path: "/v1/chat/completions",
    body: (model) => ({ model, ...chat, stream: true }),
    read: textOfChatStream,
  },
  {
    id: "responses",
    path: "/v1/responses",
    body: (model) => ({ model, input: PROMPT }),
    read: textOfResponse,
  },
  {
    id: "resp-sse",
    path: "/v1/responses",
    body: (model) => ({ model, input: PROMPT, stream: true }),
    read: textOfResponseStream,
  },
  {
    id: "messages",
    path: "/v1/messages",
    body: (model) => ({ model, max_tokens: 1000, ...chat }),
    read: textOfMessage,
  },
  {
    id: "completions",
    path: "/v1/completions",
    body: (model) => ({ model, prompt: PROMPT }),
    read: textOfCompletion,
  },
  {
    id: "ollama",
    path: "/api/chat",
    body: (model) => ({ model, ...chat, stream: false }),
    read: textOfOllama,
  },
];

async function health(target: Target, signal: AbortSignal): Promise<Outcome> {
  const { status, raw } = await call(target, "/health", undefined, signal);
  const body = parseJson(raw);
  if (status === 200 && isObject(body) && body["name"] === "plansocket") return ok(`${target.url} is alive`);
  if (status === 403) return refused(status, raw);
  return fail(`${target.url} answers ${status}, and not as a plansocket.`, "Check the address after --url.");
}

async function keyCheck(target: Target, signal: AbortSignal): Promise<Outcome> {
  const { status } = await call(target, "/v1/models", undefined, signal);
  if (status === 401) return fail("The relay does not take this key.", "Give the relay's own key with --api-key.");
  const without = await call({ ...target, apiKey: undefined }, "/v1/models", undefined, signal);
  return ok(without.status === 401 ? "the right key is let in, none is not" : "none is asked for");
}

async function models(target: Target, listed: { models?: string[] }, signal: AbortSignal): Promise<Outcome> {
  const { status, raw } = await call(target, "/v1/models", undefined, signal);
  if (status !== 200) return refused(status, raw);
  const body = parseJson(raw);
  const data = isObject(body) && Array.isArray(body["data"]) ? body["data"] : [];
  listed.models = data.flatMap((entry) => (isObject(entry) ? (nonEmptyString(entry["id"]) ?? []) : []));
  if (listed.models.length > 0) return ok(`${listed.models.length} listed`, { models: listed.models });
  return fail("The list of models is empty.", "Leave --models, or see `plansocket models`.");
}

async function ask(target: Target, question: Question, model: string, signal: AbortSignal): Promise<Outcome> {
  const { status, raw } = await call(target, question.path, question.body(model), signal);
  if (status !== 200) return refused(status, raw);
  const said = question.read(raw);
  if (said.failure !== undefined) return fail(said.failure, fixFor(said.failure));
  if (said.text === "" || !said.isWhole) {
    return fail(`${model} answered without ${said.text === "" ? "any text" : "an end"}.`, "Try again in a moment.");
  }
  return ok(`${model}: ${said.text.slice(0, 30).trim()}`, { model });
}

/** The relay's errors say themselves what to do, behind the first sentence. */
function refused(status: number, raw: string): Outcome {
  const body = parseJson(raw);
  // Ollama's errors are a text.
  const said = isObject(body) ? body["error"] : undefined;
  const error = isObject(said) ? said : {};
  const message = nonEmptyString(error["message"]) ?? nonEmptyString(said) ?? (raw.slice(0, 200) || "no reason given");
  return fail(`${status}: ${message}`, fixFor(nonEmptyString(error["code"]) ?? String(status)));
}

function fixFor(reason: string): string {
  if (/usage_limit|insufficient_quota|\b429\b/.test(reason)) {
    return "Wait until it ends; `plansocket usage` shows how full the plan is.";
  }
  if (/auth|\b401\b/.test(reason)) return "Run `plansocket login` (or `codex login`) to sign in again.";
  if (/host_not_allowed/.test(reason)) return "Start that relay with --allow-host and this name.";
  return "Try again in a moment; `plansocket doctor` on the relay's machine looks further.";
}

async function call(
  target: Target,
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<{ status: number; raw: string }> {
  try {
    const reply = await fetch(`${target.url}${path}`, {
      method: body ? "POST" : "GET",
      headers: {
        ...(target.apiKey === undefined ? {} : { authorization: `Bearer ${target.apiKey}` }),
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      redirect: "manual",
      signal,
    });
    return { status: reply.status, raw: await reply.text() };
  } catch (error) {
    if (signal.aborted) throw error;
    const isRefused = errorCode(error) === "ECONNREFUSED";
    const { message, hint } = unreachable(error, new URL(target.url).host, undefined);
    const fix = isRefused ? "Start it with `plansocket serve`, or check the address after --url." : hint;
    throw new RelayError("upstream_unreachable", message, { hint: fix ?? "", cause: error });
  }
}

function smallest(models: readonly string[]): string | undefined {
  const able = models.filter((model) => !NO_CHAT.test(model) && /^(gpt|o\d|chatgpt)/.test(model));
  for (const pattern of SMALL) {
    const found = able.find((model) => pattern.test(model));
    if (found !== undefined) return found;
  }
  return able[0] ?? models[0];
}
