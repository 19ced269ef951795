import { z } from "zod";
import { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { assertFits, longListOf, type Loose } from "../gate.ts";
import { firstIssue } from "../issue.ts";
import { missing, wrongType } from "../refuse.ts";
import { isGiven } from "../unread-fields.ts";
import { inResponsesFields } from "./chat-fields.ts";

/** Items of most kinds say their type; that of a message may be left out. */
const items = longListOf(
  z.object({ type: z.string().nullish() }),
  (item) => isObject(item) && (item["type"] === undefined || typeof item["type"] === "string"),
);

/** What the relay itself looks at; every other key is upstream's business or dropped by name in `request.ts`. */
const Gate = z.object({
  model: z.string(),
  input: z.union([z.string(), z.object({}), items]).nullish(),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  tools: z.array(z.object({})).nullish(),
  include: z.array(z.string()).nullish(),
  reasoning: z.object({ effort: z.string().nullish(), summary: z.string().nullish() }).nullish(),
  text: z.object({ verbosity: z.string().nullish() }).nullish(),
  service_tier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  max_output_tokens: z.number().int().min(1).nullish(),
});

/** A request in this API's own fields. */
export type ResponsesRequest = Loose<z.infer<typeof Gate>> & {
  /** Fields of Chat Completions that are honoured in other ones. */
  readonly chatFields: readonly string[];
};

/** Throws RelayError with the path of the first field at fault. */
export function parseResponsesRequest(body: unknown): ResponsesRequest {
  if (!isObject(body)) {
    throw new RelayError("invalid_request", "The request body must be a JSON object.");
  }
  const { input, model } = body;
  if (model === undefined || model === null || model === "") throw missing("model");
  // What is remembered of the conversation may be all that is asked about.
  if (!isGiven(input) && !isGiven(body["previous_response_id"])) throw missing("input");
  const odd = Array.isArray(input) ? input.findIndex((item) => !isObject(item)) : -1;
  if (Array.isArray(input) && odd >= 0) throw wrongType(`input[${odd}]`, "an object", input[odd]);
  const { body: fields, honoured } = inResponsesFields(body);
  assertFits(Gate, fields, (issues) => firstIssue(issues, fields));
  return { ...fields, input: fields.input ?? [], chatFields: honoured };
}
