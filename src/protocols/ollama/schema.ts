import { z } from "zod";
import { MOST_STOP_SEQUENCES } from "../../codex/output/stop.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";

const Common = {
  model: z.string().min(1),
  stream: z.boolean().nullish(),
  format: z.union([z.string(), z.looseObject({})]).nullish(),
  options: z
    .looseObject({ stop: z.union([z.string(), z.array(z.string()).max(MOST_STOP_SEQUENCES)]).nullish() })
    .nullish(),
  think: z.union([z.boolean(), z.string()]).nullish(),
};

const Message = z.looseObject({
  role: z
    .string()
    .nullish()
    .transform((role) => role ?? ""),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  tool_calls: z
    .array(
      z.looseObject({
        id: z.string().nullish(),
        function: z.looseObject({ name: z.string().min(1), arguments: z.unknown().optional() }),
      }),
    )
    .nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});
export type OllamaMessage = z.infer<typeof Message>;

const Tool = z.looseObject({
  type: z.string().nullish(),
  function: z.looseObject({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.looseObject({}).nullish(),
  }),
});
export type OllamaTool = z.infer<typeof Tool>;

const ChatRequest = z.looseObject({
  ...Common,
  messages: z.array(Message).nullish(),
  tools: z.array(Tool).nullish(),
});
export type OllamaChatRequest = z.infer<typeof ChatRequest>;

const GenerateRequest = z.looseObject({
  ...Common,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  images: z.array(z.string()).nullish(),
});
export type OllamaGenerateRequest = z.infer<typeof GenerateRequest>;

/** What both kinds of request have in common. */
export type OllamaRequest = OllamaChatRequest | OllamaGenerateRequest;

/** Throws RelayError with the path of the first field at fault. */
export function parseChat(body: unknown): OllamaChatRequest {
  return parsed(ChatRequest, body);
}

/** Throws RelayError with the path of the first field at fault. */
export function parseGenerate(body: unknown): OllamaGenerateRequest {
  return parsed(GenerateRequest, body);
}

/** The model that a body names; older clients say `name`. Throws RelayError. */
export function parseModelName(body: unknown): string {
  const name = isObject(body) ? body["model"] || body["name"] : undefined;
  if (typeof name === "string" && name !== "") return name;
  throw new RelayError("missing_required_parameter", "model is required", { param: "model" });
}

function parsed<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const field = param.replace(/^\./, "");
  throw new RelayError(
    "invalid_type",
    `invalid ${field === "" ? "request" : field}: ${issue?.message ?? "not accepted"}`,
    field === "" ? {} : { param: field },
  );
}
