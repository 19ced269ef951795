import { wholeUsage } from "../../codex/output/usage.ts";
import { objectsOf } from "../../codex/wire/lenient.ts";
import type { ResponseObject } from "../../codex/wire/schema.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Context } from "../protocol.ts";
import type { ResponsesRequest } from "./schema.ts";

/** Fields of a request that its response repeats, and what the public API says where nobody set them. */
const ECHOED: Readonly<Record<string, unknown>> = {
  background: false,
  frequency_penalty: 0,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  presence_penalty: 0,
  previous_response_id: null,
  prompt_cache_key: null,
  safety_identifier: null,
  service_tier: "default",
  temperature: 1,
  tool_choice: "auto",
  top_logprobs: 0,
  top_p: 1,
  truncation: "disabled",
  user: null,
};

/** Fields that the relay sets for itself on the way to the backend: what upstream says of them is not the client's. */
const OWN = new Set(["previous_response_id", "prompt_cache_key", "metadata", "user"]);

/**
 * A Response object with every field that the public API documents, the same in each event of a stream: the client's own
 * value, else upstream's, else the API's default.
 */
export function completeResponse(response: ResponseObject, request: ResponsesRequest, context: Context): JsonObject {
  const echoed: JsonObject = {};
  for (const name in ECHOED) {
    echoed[name] = request[name] ?? (OWN.has(name) ? undefined : response[name]) ?? ECHOED[name];
  }
  const status = response.status ?? "completed";
  const sentTools = objectsOf(response["tools"]);
  return {
    ...response,
    ...echoed,
    // Only upstream can say which one was in effect.
    access_programs: response["access_programs"] ?? null,
    // What was asked for is `auto`; what was had only upstream can say.
    service_tier: response.service_tier ?? "default",
    id: response.id ?? `resp_${context.id}`,
    object: "response",
    created_at: Math.floor(response.created_at ?? context.now / 1000),
    completed_at: completedAt(status, response, context),
    status,
    // By the name that the client knows: it may have a suffix, a prefix or a tag.
    model: request.model,
    output: response.output ?? [],
    error: response.error ?? null,
    incomplete_details: response.incomplete_details ?? null,
    reasoning: {
      effort: null,
      summary: null,
      ...givenFields(response["reasoning"]),
      ...givenFields(request.reasoning),
    },
    // The backend stores nothing: what the client may refer to the relay remembers.
    store: request["store"] !== false,
    text: completeText(givenFields(response["text"]), givenFields(request.text)),
    tools: objectsOf(request.tools).map((tool) => completeTool(tool, sentTools)),
    usage: wholeUsage(response.usage) ?? null,
  };
}

/** In epoch seconds; null while the response is not complete, and when it never will be. */
function completedAt(status: string, response: ResponseObject, context: Context): number | null {
  if (status !== "completed") return null;
  const told = response["completed_at"];
  return Math.floor(typeof told === "number" ? told : (context.now + context.elapsedMs()) / 1000);
}

/** The format of the client's text, in full; upstream's may be one that the relay made of it. */
function completeText(response: JsonObject, request: JsonObject): JsonObject {
  const text = { format: { type: "text" }, ...response, ...request };
  if (!isObject(text.format) || text.format["type"] !== "json_schema") return text;
  return { ...text, format: { description: null, strict: false, ...givenFields(text.format) } };
}

/** Functions are strict unless their client says otherwise, as the public API has it. */
function completeTool(tool: JsonObject, sentTools: readonly JsonObject[]): JsonObject {
  if (tool["type"] !== "function") return tool;
  const strict = tool["strict"] ?? sentTools.find(({ name }) => name === tool["name"])?.["strict"] ?? true;
  return { description: null, parameters: null, ...tool, strict };
}

/** The fields of an object that say something; none of anything else. */
function givenFields(value: unknown): JsonObject {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined));
}
