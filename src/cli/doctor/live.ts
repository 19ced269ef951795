import { isObject, parseJson } from "../../lib/json.ts";
import { check, fail, ok, skip, type Finding, type Outcome } from "./finding.ts";

/** A relay to try, and how to get in. */
export interface Target {
  /** As in `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly apiKey: string | undefined;
}

/** Models think. */
const ANSWER_MS = 120_000;
const PROMPT = "Reply with the single word: ok";

/** Cheap ones first; what is not in the list costs as much as it costs. */
const SMALL = [/mini/, /luna/, /spark/, /terra/];

/** One tiny request to every endpoint that clients use, as they would send it. Costs a little of the plan. */
export async function liveFindings(target: Target): Promise<Finding[]> {
  const findings = [await check("health", (signal) => health(target, signal))];
  if (findings[0]?.status !== "ok") return findings;
  findings.push(await check("key", (signal) => key(target, signal)));
  const listed: { models?: string[] } = {};
  findings.push(await check("models", (signal) => models(target, listed, signal)));
  const model = smallest(listed.models ?? []);
  for (const { id, path, isStreamed, body, text } of ANSWERS) {
    findings.push(
      model === undefined
        ? { id, ...skip("no model to ask") }
        : await check(id, (signal) => answer(target, path, body(model, isStreamed), text, signal), ANSWER_MS),
    );
  }
  return findings;
}

interface Answer {
  readonly id: string;
  readonly path: string;
  readonly isStreamed: boolean;
  readonly body: (model: string, isStreamed: boolean) => object;
  /** The answer's text in a whole body or in a stream; undefined when it is not there. */
  readonly text: (raw: string) => string | undefined;
}

const chatBody = (model: string, stream: boolean) => ({ model, stream, messages: [{ role: "user", content: PROMPT }] });
const responsesBody = (model: string, stream: boolean) => ({ model, stream, input: PROMPT });

const ANSWERS: readonly Answer[] = [
  {
    id: "chat",
    path: "/v1/chat/completions",
    isStreamed: false,
    body: chatBody,
    text: (raw) => pick(raw, /"content":"((?:[^"\\]|\\.)+)"/),
  },
  {
    id: "chat-sse",
    path: "/v1/chat/completions",
    isStreamed: true,
    body: chatBody,
    text: (raw) => (raw.includes("data: [DONE]") ? pick(raw, /"content":"((?:[^"\\]|\\.)+)"/) : undefined),
  },
  {
    id: "responses",
    path: "/v1/responses",
    isStreamed: false,
    body: responsesBody,
    text: (raw) => pick(raw, /"text":"((?:[^"\\]|\\.)+)"/),
  },
  {
    id: "resp-sse",
    path: "/v1/responses",
    isStreamed: true,
    body: responsesBody,
    text: (raw) => (raw.includes("response.completed") ? pick(raw, /"delta":"((?:[^"\\]|\\.)+)"/) : undefined),
  },
];

function pick(raw: string, pattern: RegExp): string | undefined {
  return pattern.exec(raw)?.[1];
}

async function health(target: Target, signal: AbortSignal): Promise<Outcome> {
  const { status, raw } = await call(target, "/health", undefined, signal);
  const body = parseJson(raw);
  if (status === 200 && isObject(body) && body["name"] === "codex-relay") return ok(`${target.url} is alive`);
  return fail(`${target.url} answers ${status}, and not as a codex-relay.`, "Check the address after --url.");
}

async function key(target: Target, signal: AbortSignal): Promise<Outcome> {
  const { status } = await call(target, "/v1/models", undefined, signal);
  if (status === 401) return fail("The relay does not take this key.", "Give the relay's own key with --api-key.");
  const without = await call({ ...target, apiKey: undefined }, "/v1/models", undefined, signal);
  return ok(without.status === 401 ? "the right key is let in, none is not" : "none is asked for");
}

async function models(target: Target, listed: { models?: string[] }, signal: AbortSignal): Promise<Outcome> {
  const { status, raw } = await call(target, "/v1/models", undefined, signal);
  const body = parseJson(raw);
  const data = isObject(body) && Array.isArray(body["data"]) ? body["data"] : [];
  listed.models = data.flatMap((entry) => (isObject(entry) && typeof entry["id"] === "string" ? [entry["id"]] : []));
  if (status !== 200 || listed.models.length === 0) return refused(status, raw);
  return ok(`${listed.models.length} listed`);
}

async function answer(
  target: Target,
  path: string,
  body: object,
  textOf: (raw: string) => string | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const startMs = performance.now();
  const { status, raw } = await call(target, path, body, signal);
  if (status !== 200) return refused(status, raw);
  const text = textOf(raw);
  if (text === undefined) return fail("The answer came without its text or its end.", "Run it again with --debug.");
  return ok(`answered in ${Math.round(performance.now() - startMs)} ms: ${text.slice(0, 30)}`);
}

/** The relay's errors say themselves what to do, behind the first sentence. */
function refused(status: number, raw: string): Outcome {
  const body = parseJson(raw);
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const message = typeof error["message"] === "string" ? error["message"] : raw.slice(0, 200);
  return fail(`${status}: ${message}`, "Run `codex-relay doctor` without --live for the reason.");
}

async function call(
  target: Target,
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<{ status: number; raw: string }> {
  const reply = await fetch(`${target.url}${path}`, {
    method: body ? "POST" : "GET",
    headers: {
      ...(target.apiKey === undefined ? {} : { authorization: `Bearer ${target.apiKey}` }),
      ...(body ? { "content-type": "application/json" } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal,
  }).catch(() => undefined);
  return reply ? { status: reply.status, raw: await reply.text() } : { status: 0, raw: "" };
}

function smallest(models: readonly string[]): string | undefined {
  for (const pattern of SMALL) {
    const found = models.find((model) => pattern.test(model));
    if (found !== undefined) return found;
  }
  return models[0];
}
