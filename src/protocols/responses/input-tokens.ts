import { countTokens } from "../../codex/count-tokens.ts";
import { publishedModels } from "../../codex/models.ts";
import { isObject } from "../../lib/json.ts";
import type { Context } from "../protocol.ts";
import { toCodex } from "./request.ts";
import { parseResponsesRequest } from "./schema.ts";

/** POST /v1/responses/input_tokens: what a request would cost, with all that it refers to. Every field is optional. */
export async function countInput(body: unknown, context: Context): Promise<unknown> {
  const asked = isObject(body)
    ? { ...body, model: body["model"] ?? publishedModels(context.models)[0], input: body["input"] ?? [] }
    : body;
  const { body: sent } = toCodex(parseResponsesRequest(asked), context);
  return { object: "response.input_tokens", input_tokens: await countTokens(sent) };
}
