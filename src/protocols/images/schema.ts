import { z } from "zod";
import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { firstIssue } from "../issue.ts";
import { missing, unknownValue } from "../refuse.ts";
import { unreadFields } from "../unread-fields.ts";
import { imageModel } from "./models.ts";
import { sourcesOf } from "./sources.ts";

const optionalText = z.string().max(100).nullish();

/** Settings of the picture, all of which the backend knows by these names. */
const OPTIONS = {
  size: optionalText,
  quality: optionalText,
  background: optionalText,
  output_format: optionalText,
  output_compression: z.number().int().min(0).max(100).nullish(),
  moderation: optionalText,
  input_fidelity: optionalText,
  complexity: optionalText,
  frame_count: z.number().int().min(1).nullish(),
  frame_duration_ms: z.number().int().min(1).nullish(),
};

const Gate = z.looseObject({
  prompt: z.string(),
  model: optionalText,
  n: z.number().int().min(1).max(10).nullish(),
  stream: z.boolean().nullish(),
  partial_images: z.number().int().min(0).max(3).nullish(),
  response_format: z.string().nullish(),
  ...OPTIONS,
});

/** In characters, as at the public API. */
const LONGEST_PROMPT = 32_000;

/** A request for pictures; those to start from are URLs. */
export interface ImageRequest {
  readonly isEdit: boolean;
  readonly prompt: string;
  readonly images: readonly string[];
  readonly mask: string | undefined;
  readonly model: string | undefined;
  readonly count: number;
  readonly isStreaming: boolean;
  readonly partialImages: number;
  readonly options: Readonly<JsonObject>;
  /** The client reads a URL where others read base64: it gets a `data:` URL. */
  readonly wantsUrl: boolean;
  /** Fields that have no effect here. */
  readonly dropped: readonly string[];
  /** Fields that are honoured in another way. */
  readonly changed: readonly string[];
}

/** Fields that are honoured or refused by name. All others are named: who asks, or what only older models had. */
const READ = new Set([
  ...Object.keys(OPTIONS),
  "image",
  "images",
  "mask",
  "model",
  "n",
  "prompt",
  "response_format",
  "stream",
]);

/** Words of older picture models, and what today's take instead. */
const FORMER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  quality: { hd: "high", standard: "medium" },
  size: { "256x256": "1024x1024", "512x512": "1024x1024", "1792x1024": "1536x1024", "1024x1792": "1024x1536" },
};

/** Throws RelayError with the field at fault. */
export function parseImageRequest(raw: unknown, isEdit: boolean): ImageRequest {
  if (!isObject(raw)) throw new RelayError("invalid_request", "The request body must be a JSON object or a form.");
  const body = typed(raw);
  if (body["prompt"] === undefined || body["prompt"] === null || body["prompt"] === "") throw missing("prompt");
  const result = Gate.safeParse(body);
  if (!result.success) throw firstIssue(result.error.issues, body);
  const request = result.data;
  refuseOthers(request);
  if (isGiven(body["markup"])) {
    throw new RelayError("unsupported_parameter", "'markup' is not supported by the Codex backend.", {
      param: "markup",
      hint: "Draw it into the image itself, or send a mask.",
    });
  }
  const { images, mask } = isEdit ? sourcesOf(body) : { images: [], mask: undefined };
  const isStreaming = request.stream === true;
  const { options, renamed } = optionsOf(request);
  const wantsUrl = request.response_format === "url";
  const read = isStreaming ? new Set([...READ, "partial_images"]) : READ;
  return {
    isEdit,
    prompt: request.prompt,
    images,
    mask,
    model: request.model ?? undefined,
    count: request.n ?? 1,
    isStreaming,
    partialImages: request.partial_images ?? 0,
    options,
    wantsUrl,
    dropped: unreadFields(body, read).filter((name) => isGiven(body[name])),
    changed: [
      ...(imageModel(request.model ?? undefined).isChanged ? ["model"] : []),
      ...renamed,
      ...(wantsUrl ? ["response_format"] : []),
    ],
  };
}

/** The settings in today's words, and which of them were in former ones. */
function optionsOf(request: z.infer<typeof Gate>): { readonly options: JsonObject; readonly renamed: string[] } {
  const asked = given(Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, request[name]])));
  const renamed: string[] = [];
  const options = Object.entries(asked).map(([name, value]) => {
    const today = FORMER[name]?.[String(value)];
    if (today !== undefined) renamed.push(name);
    return [name, today ?? value] as const;
  });
  return { options: Object.fromEntries(options), renamed };
}

function refuseOthers({ prompt, n, stream, response_format: format }: z.infer<typeof Gate>): void {
  if (prompt.length > LONGEST_PROMPT) {
    throw new RelayError("invalid_value", `Invalid 'prompt': longer than ${LONGEST_PROMPT} characters.`, {
      param: "prompt",
    });
  }
  if (isGiven(format) && format !== "b64_json" && format !== "url") {
    throw unknownValue(format, "'b64_json' and 'url'", "response_format");
  }
  if (stream === true && (n ?? 1) > 1) {
    throw new RelayError("unsupported_value", "Only one image at a time can be streamed.", { param: "n" });
  }
}

const NUMBERS = ["n", "partial_images", "output_compression", "frame_count", "frame_duration_ms"];

/** Forms know only texts: numbers, booleans and null are spelt out there. */
function typed(body: JsonObject): JsonObject {
  const entries = Object.entries(body).map(([name, value]) => {
    if (typeof value !== "string") return [name, value] as const;
    if (NUMBERS.includes(name) && /^\d{1,9}$/.test(value)) return [name, Number(value)] as const;
    if (name === "stream" && /^(true|false)$/i.test(value)) return [name, value.toLowerCase() === "true"] as const;
    return [name, value === "null" && name !== "prompt" ? null : value] as const;
  });
  return Object.fromEntries(entries);
}

function given(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isGiven(value)));
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}
