import { z } from "zod";

/*
 * The backend's language. Schemas are loose (unknown keys survive) and optional keys are nullish, because the backend
 * adds fields without notice. Nothing is validated by them at run time (see `lenient.ts`): the relay takes their types
 * alone, so that no start makes forty schemas, and tests hold every event against them.
 */

export const Annotation = z.looseObject({
  type: z.string(),
  start_index: z.number().nullish(),
  end_index: z.number().nullish(),
  url: z.string().nullish(),
  title: z.string().nullish(),
});
export type Annotation = z.infer<typeof Annotation>;

export const ContentPart = z.looseObject({
  type: z.string(),
  text: z.string().nullish(),
  refusal: z.string().nullish(),
  annotations: z.array(Annotation).nullish(),
});
export type ContentPart = z.infer<typeof ContentPart>;

const SummaryPart = z.looseObject({ type: z.string(), text: z.string() });

/** An output item. One loose shape for all kinds: `type` says which keys matter. */
export const OutputItem = z.looseObject({
  type: z.string(),
  id: z.string().nullish(),
  status: z.string().nullish(),
  role: z.string().nullish(),
  /** `commentary` or `final_answer` on messages. */
  phase: z.string().nullish(),
  content: z.array(ContentPart).nullish(),
  summary: z.array(SummaryPart).nullish(),
  encrypted_content: z.string().nullish(),
  call_id: z.string().nullish(),
  name: z.string().nullish(),
  namespace: z.string().nullish(),
  /** JSON text of a function call. */
  arguments: z.string().nullish(),
  /** Free text of a custom tool call. */
  input: z.string().nullish(),
  /** Base64 of a generated image. */
  result: z.string().nullish(),
  output_format: z.string().nullish(),
});
export type OutputItem = z.infer<typeof OutputItem>;

export const Usage = z.looseObject({
  input_tokens: z.number(),
  input_tokens_details: z
    .looseObject({ cached_tokens: z.number().nullish(), cache_write_tokens: z.number().nullish() })
    .nullish(),
  output_tokens: z.number(),
  output_tokens_details: z.looseObject({ reasoning_tokens: z.number().nullish() }).nullish(),
  total_tokens: z.number().nullish(),
});
export type Usage = z.infer<typeof Usage>;

const FailureDetail = z.looseObject({
  code: z.string().nullish(),
  message: z.string().nullish(),
  type: z.string().nullish(),
  param: z.string().nullish(),
});

/** The `response` object inside lifecycle events. */
export const ResponseObject = z.looseObject({
  id: z.string().nullish(),
  object: z.string().nullish(),
  /** Epoch seconds, sometimes with a fraction. */
  created_at: z.number().nullish(),
  status: z.string().nullish(),
  model: z.string().nullish(),
  output: z.array(OutputItem).nullish(),
  error: FailureDetail.nullish(),
  incomplete_details: z.looseObject({ reason: z.string().nullish() }).nullish(),
  service_tier: z.string().nullish(),
  usage: Usage.nullish(),
});
export type ResponseObject = z.infer<typeof ResponseObject>;

const at = { output_index: z.number(), item_id: z.string().nullish() };
const inPart = { ...at, content_index: z.number().nullish() };
const inSummary = { ...at, summary_index: z.number().nullish() };
const lifecycle = <T extends string>(type: T) => z.looseObject({ type: z.literal(type), response: ResponseObject });
const progress = <T extends string>(type: T) => z.looseObject({ type: z.literal(type), ...at });

/** Every event that the relay knows. Unknown types are allowed on the wire and ignored. */
export const CodexEvent = z.discriminatedUnion("type", [
  lifecycle("response.created"),
  lifecycle("response.in_progress"),
  lifecycle("response.queued"),
  lifecycle("response.completed"),
  lifecycle("response.done"),
  lifecycle("response.incomplete"),
  lifecycle("response.failed"),
  lifecycle("response.cancelled"),
  z.looseObject({
    type: z.literal("error"),
    code: z.string().nullish(),
    message: z.string().nullish(),
    param: z.string().nullish(),
    status: z.number().nullish(),
    status_code: z.number().nullish(),
    error: FailureDetail.nullish(),
  }),
  z.looseObject({ type: z.literal("response.output_item.added"), output_index: z.number(), item: OutputItem }),
  z.looseObject({ type: z.literal("response.output_item.done"), output_index: z.number(), item: OutputItem }),
  z.looseObject({ type: z.literal("response.content_part.added"), ...inPart, part: ContentPart }),
  z.looseObject({ type: z.literal("response.content_part.done"), ...inPart, part: ContentPart }),
  z.looseObject({ type: z.literal("response.output_text.delta"), ...inPart, delta: z.string() }),
  z.looseObject({ type: z.literal("response.output_text.done"), ...inPart, text: z.string() }),
  z.looseObject({
    type: z.literal("response.output_text.annotation.added"),
    ...inPart,
    annotation_index: z.number().nullish(),
    annotation: Annotation,
  }),
  z.looseObject({ type: z.literal("response.refusal.delta"), ...inPart, delta: z.string() }),
  z.looseObject({ type: z.literal("response.refusal.done"), ...inPart, refusal: z.string() }),
  z.looseObject({ type: z.literal("response.reasoning_summary_part.added"), ...inSummary, part: SummaryPart }),
  z.looseObject({ type: z.literal("response.reasoning_summary_part.done"), ...inSummary, part: SummaryPart }),
  z.looseObject({ type: z.literal("response.reasoning_summary_text.delta"), ...inSummary, delta: z.string() }),
  z.looseObject({ type: z.literal("response.reasoning_summary_text.done"), ...inSummary, text: z.string() }),
  z.looseObject({ type: z.literal("response.reasoning_text.delta"), ...inPart, delta: z.string() }),
  z.looseObject({ type: z.literal("response.reasoning_text.done"), ...inPart, text: z.string() }),
  z.looseObject({ type: z.literal("response.function_call_arguments.delta"), ...at, delta: z.string() }),
  z.looseObject({ type: z.literal("response.function_call_arguments.done"), ...at, arguments: z.string() }),
  z.looseObject({ type: z.literal("response.custom_tool_call_input.delta"), ...at, delta: z.string() }),
  z.looseObject({ type: z.literal("response.custom_tool_call_input.done"), ...at, input: z.string() }),
  progress("response.web_search_call.in_progress"),
  progress("response.web_search_call.searching"),
  progress("response.web_search_call.completed"),
  progress("response.image_generation_call.in_progress"),
  progress("response.image_generation_call.generating"),
  progress("response.image_generation_call.completed"),
  z.looseObject({
    type: z.literal("response.image_generation_call.partial_image"),
    ...at,
    partial_image_index: z.number().nullish(),
    partial_image_b64: z.string(),
  }),
  z.looseObject({ type: z.literal("response.metadata") }),
  z.looseObject({ type: z.literal("codex.rate_limits") }),
  z.looseObject({ type: z.literal("keepalive") }),
]);
export type CodexEvent = z.infer<typeof CodexEvent>;
