import { z } from "zod";
import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { firstIssue } from "../issue.ts";
import { missing } from "../refuse.ts";
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
  /** Fields that have no effect here. */
  readonly dropped: readonly string[];
}

/** About the caller, of picture models of old, or about who writes an SVG. */
const DROPPED = ["safety_identifier", "style", "svg", "user"];

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
  const drops = isStreaming ? DROPPED : [...DROPPED, "partial_images"];
  return {
    isEdit,
    prompt: request.prompt,
    images,
    mask,
    model: request.model ?? undefined,
    count: request.n ?? 1,
    isStreaming,
    partialImages: request.partial_images ?? 0,
    options: given(Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, request[name]]))),
    dropped: drops.filter((name) => isGiven(body[name])),
  };
}

function refuseOthers({ prompt, n, stream, response_format: format }: z.infer<typeof Gate>): void {
  if (prompt.length > LONGEST_PROMPT) {
    throw new RelayError("invalid_value", `Invalid 'prompt': longer than ${LONGEST_PROMPT} characters.`, {
      param: "prompt",
    });
  }
  if (isGiven(format) && format !== "b64_json") {
    throw new RelayError(
      "unsupported_value",
      `Images are not kept anywhere, so there is no '${short(format)}' of them.`,
      {
        param: "response_format",
        hint: "Leave 'response_format' out and read 'b64_json'.",
      },
    );
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
    if (name === "stream" && /^(true|false)$/.test(value)) return [name, value === "true"] as const;
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

function short(text: unknown): string {
  return String(text).slice(0, 40);
}
