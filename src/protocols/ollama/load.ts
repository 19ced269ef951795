import { resolveModel } from "../../codex/model-names.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Context } from "../protocol.ts";
import type { Shape } from "./reply.ts";
import type { OllamaRequest } from "./schema.ts";

/** How long a model is to stay that is to go at once: `0`, `"0"`, `"0s"`. */
const AT_ONCE = /^0+(\.0+)?(ms|s|m|h)?$/;

/**
 * The answer to a request without a question: clients send those to have a model loaded before they need it, or
 * unloaded after. There is nothing to load here, and to ask the backend would cost the plan. Throws `model_not_found`.
 */
export function loaded(request: OllamaRequest, context: Context, shape: Shape): JsonObject {
  resolveModel(context, request.model);
  const isUnloaded = AT_ONCE.test(String(request["keep_alive"]));
  return {
    model: request.model,
    created_at: new Date(context.now).toISOString(),
    ...shape.line({ text: "" }),
    done: true,
    done_reason: isUnloaded ? "unload" : "load",
  };
}
