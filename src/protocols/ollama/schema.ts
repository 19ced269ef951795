import { z } from "zod";
import { MOST_STOP_SEQUENCES } from "../../codex/output/stop.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { assertFits, type Loose } from "../gate.ts";

const Common = {
  model: z.string().min(1),
  stream: z.boolean().nullish(),
  format: z.union([z.string(), z.object({})]).nullish(),
  options: z.object({ stop: z.union([z.string(), z.array(z.string()).max(MOST_STOP_SEQUENCES)]).nullish() }).nullish(),
  think: z.union([z.boolean(), z.string()]).nullish(),
};

const Message = z.object({
  role: z.string().nullish(),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().nullish(),
        function: z.object({ name: z.string().min(1), arguments: z.unknown().optional() }),
      }),
    )
    .nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});
export type OllamaMessage = Loose<z.infer<typeof Message>>;

const Tool = z.object({
  type: z.string().nullish(),
  function: z.object({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.object({}).nullish(),
  }),
});
export type OllamaTool = Loose<z.infer<typeof Tool>>;

const ChatRequest = z.object({
  ...Common,
  messages: z.array(Message).nullish(),
  tools: z.array(Tool).nullish(),
});
export type OllamaChatRequest = Loose<z.infer<typeof ChatRequest>>;

const GenerateRequest = z.object({
  ...Common,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  images: z.array(z.string()).nullish(),
});
export type OllamaGenerateRequest = Loose<z.infer<typeof GenerateRequest>>;

/** What both kinds of request have in common. */
export type OllamaRequest = OllamaChatRequest | OllamaGenerateRequest;

/** Throws RelayError with the path of the first field at fault. */
export function parseChat(body: unknown): OllamaChatRequest {
  assertFits(ChatRequest, body, refusal);
  return body;
}

/** Throws RelayError with the path of the first field at fault. */
export function parseGenerate(body: unknown): OllamaGenerateRequest {
  assertFits(GenerateRequest, body, refusal);
  return body;
}

/** The model that a body names; older clients say `name`. Throws RelayError. */
export function parseModelName(body: unknown): string {
  const name = isObject(body) ? body["model"] || body["name"] : undefined;
  if (typeof name === "string" && name !== "") return name;
  throw new RelayError("missing_required_parameter", "model is required", { param: "model" });
}

function refusal([issue]: readonly z.core.$ZodIssue[]): RelayError {
  const param = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const field = param.replace(/^\./, "");
  return new RelayError(
    "invalid_type",
    `invalid ${field === "" ? "request" : field}: ${issue?.message ?? "not accepted"}`,
    field === "" ? {} : { param: field },
  );
}
