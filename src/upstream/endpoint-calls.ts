import { Upload, type Endpoint, type EndpointCall } from "../codex/wire/endpoint-call.ts";
import { conversationHeaders } from "../codex/wire/request-headers.ts";
import { RelayError } from "../lib/errors.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { writeJson } from "../lib/large-json.ts";
import { parseJsonBytes } from "../lib/parse-json.ts";
import { NAME } from "../version.ts";

/** Below the Codex API, or beside it, where only the barest of headers come through. */
const BESIDE = new Set<Endpoint>(["/transcribe"]);

/**
 * Headers of an endpoint call before credentials and content. `identity` names the relay; `conversation` is a UUID, that of
 * the conversation or, for images, of this one turn.
 */
export function endpointCallHeaders(
  { endpoint }: EndpointCall,
  identity: Readonly<Record<string, string>>,
  conversation: string,
): Record<string, string> {
  if (BESIDE.has(endpoint)) return { "user-agent": identity["user-agent"] ?? NAME };
  if (endpoint.startsWith("/images/")) return { ...identity, "x-codex-image-turn-id": conversation };
  return { ...identity, ...conversationHeaders(conversation) };
}

export function endpointCallUrl({ endpoint }: EndpointCall, baseUrl: string): string {
  return (BESIDE.has(endpoint) ? baseUrl.replace(/\/codex$/, "") : baseUrl) + endpoint;
}

/** The body anew for each attempt, as a form is spent when it was sent. */
export async function endpointCallBody(
  body: Readonly<JsonObject>,
): Promise<{ body: string | Uint8Array<ArrayBuffer> | FormData; headers: Record<string, string> }> {
  const entries = Object.entries(body);
  if (!entries.some(([, value]) => value instanceof Upload)) {
    return { body: await writeJson(body), headers: { "content-type": "application/json" } };
  }
  const form = new FormData();
  for (const [name, value] of entries) {
    if (value instanceof Upload) form.append(name, new Blob([value.bytes], { type: value.type }), value.name);
    else form.append(name, String(value));
  }
  // fetch names the boundary itself.
  return { body: form, headers: {} };
}

/**
 * The JSON object that a reply holds. `onBytes` counts what comes before it is kept, and may throw. Throws when the reply
 * holds no object, or stops for `idleTimeoutMs`.
 */
export async function readAnswer(
  response: Response,
  idleTimeoutMs: number,
  onBytes: (bytes: number) => void,
): Promise<JsonObject> {
  const answer = await parseJsonBytes(await bytesOf(response, idleTimeoutMs, onBytes)).catch(() => undefined);
  if (isObject(answer)) return answer;
  const type = response.headers.get("content-type") ?? "nothing";
  // The work was done and is paid for: asking again would do it twice.
  throw new RelayError("upstream_error", `Upstream answered with ${type} instead of a JSON object.`, {
    shouldRetry: false,
  });
}

async function bytesOf(
  response: Response,
  idleTimeoutMs: number,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array> {
  const reader = (response.body ?? new Blob().stream()).getReader();
  const chunks: Uint8Array[] = [];
  let hasStopped = false;
  const timer = setTimeout(() => {
    hasStopped = true;
    void reader.cancel().catch(() => {});
  }, idleTimeoutMs);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      timer.refresh();
      onBytes(value.byteLength);
      chunks.push(value);
    }
  } catch (error) {
    void reader.cancel().catch(() => {});
    if (error instanceof RelayError) throw error;
    throw new RelayError("upstream_stream_truncated", "Upstream's answer was broken off.", { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (!hasStopped) return Buffer.concat(chunks);
  const seconds = Math.round(idleTimeoutMs / 1000);
  throw new RelayError("upstream_timeout", `Upstream's answer stopped for ${seconds} seconds.`);
}
