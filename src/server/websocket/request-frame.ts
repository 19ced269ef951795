import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { parseJsonBytes, parseJsonText } from "../../lib/parse-json.ts";

/** Request fields that a socket carries in its frames because it has headers only once. */
const FRAME_HEADER = /^ws_request_header_([\w-]+)$/;

/** The body of a `response.create` frame. Throws `invalid_request` and `request_too_large`. */
export async function readRequestFrame(data: string | Buffer): Promise<JsonObject> {
  const frame = await parseFrame(data);
  if (!isObject(frame)) throw invalidFrame("A frame must be a JSON object.");
  if (frame["type"] !== "response.create") {
    throw invalidFrame(`Unknown frame type '${String(frame["type"]).slice(0, 60)}'; expected 'response.create'.`);
  }
  const { type: _type, ...body } = frame;
  return body;
}

/** A frame's JSON; undefined when it is none. */
async function parseFrame(data: string | Buffer): Promise<unknown> {
  try {
    // A byte order mark is skipped, as decoding bytes skips it.
    return await (typeof data === "string" ? parseJsonText(data.replace(/^\ufeff/, "")) : parseJsonBytes(data));
  } catch (error) {
    if (error instanceof RelayError) throw error;
    return undefined;
  }
}

/** The body as HTTP has it: streamed, and without what only sockets know. */
export function withoutFrameFields(body: JsonObject): JsonObject {
  const { generate: _generate, client_metadata: metadata, ...rest } = body;
  if (!isObject(metadata)) return { ...rest, stream: true };
  const kept = Object.entries(metadata).filter(
    ([name]) => !name.startsWith("ws_request_header_") && !name.startsWith("x-codex-ws-"),
  );
  return { ...rest, stream: true, client_metadata: Object.fromEntries(kept) };
}

/** True when a frame belongs to turn `id`. One that names no turn goes on with the last one while it ends in a tool's output. */
export function isSameTurn(id: unknown, body: JsonObject): boolean {
  const named = turnOf(body);
  if (named !== undefined || id !== undefined) return named === id;
  const last: unknown = Array.isArray(body["input"]) ? body["input"].at(-1) : undefined;
  return isObject(last) && typeof last["type"] === "string" && last["type"].endsWith("_output");
}

export function turnOf(body: JsonObject): unknown {
  return isObject(body["client_metadata"]) ? body["client_metadata"]["turn_id"] : undefined;
}

/** Headers of a Codex client's upgrade with those that a frame brings, as an HTTP request would have had them. */
export function headersOfFrame(upgrade: Headers, body: JsonObject): Headers {
  const headers = new Headers(upgrade);
  // It names the socket's protocol and would be wrong on HTTP.
  headers.delete("openai-beta");
  const metadata = isObject(body["client_metadata"]) ? body["client_metadata"] : {};
  for (const [name, value] of Object.entries(metadata)) {
    const header = FRAME_HEADER.exec(name)?.[1];
    if (header === undefined || typeof value !== "string" || !/^[\x20-\x7e]*$/.test(value)) continue;
    headers.set(header.replaceAll("_", "-"), value);
  }
  return headers;
}

/** The refusal of a frame. */
export function invalidFrame(message: string): RelayError {
  return new RelayError("invalid_request", message);
}
