import { isEndpointRefused, objectsIn, type EndpointCall } from "../../codex/wire/endpoint-call.ts";
import { refusalOf, refusedField } from "../../codex/request/refusals.ts";
import type { ResponseObject } from "../../codex/wire/schema.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Dialogue, Step } from "../exchange.ts";
import type { Context } from "../protocol.ts";
import { imageModel } from "./models.ts";
import { imageUsage, looksOf, picturesOf, regularUsage } from "./picture.ts";
import type { ImageRequest } from "./schema.ts";
import { toToolCall } from "./tool.ts";

/** The backend's image endpoint; where it is refused, or refuses what matters, the drawing tool of its models. */
export function* draw(request: ImageRequest, context: Context): Dialogue {
  try {
    return { json: yield* atEndpoint(request, context) };
  } catch (thrown) {
    const error = toRelayError(thrown);
    const isFieldRefused = refusedField(refusalOf(error), toEndpointCall(request, request.count).body) !== undefined;
    if (!isEndpointRefused(error) && !isFieldRefused) throw error;
  }
  return { json: yield* withTool(request, context) };
}

/** Asks again for what is missing: not every endpoint draws more than one picture at a time. */
function* atEndpoint(request: ImageRequest, context: Context): Generator<Step, JsonObject, JsonObject> {
  const answers: JsonObject[] = [];
  const data: JsonObject[] = [];
  while (data.length < request.count && answers.length < request.count) {
    const answer = yield { endpointCall: toEndpointCall(request, request.count - data.length) };
    answers.push(answer);
    data.push(...objectsIn(answer, "data").filter((image) => nonEmptyString(image["b64_json"])));
    if (data.length === 0) {
      throw new RelayError("upstream_error", "Upstream's answer holds no image.", { shouldRetry: false });
    }
  }
  const [first = {}] = answers;
  const { created } = first;
  return {
    ...first,
    created: Math.floor(typeof created === "number" ? created : context.now / 1000),
    data: data.slice(0, request.count).map((image) => readable(image, request, nonEmptyString(first["output_format"]))),
    ...usageOf(answers.map(({ usage }) => endpointUsage(usage, request))),
  };
}

function toEndpointCall(request: ImageRequest, count: number): EndpointCall {
  const { prompt, options, mask, isEdit } = request;
  const images = request.images.map((url) => ({ image_url: url }));
  return {
    endpoint: isEdit ? "/images/edits" : "/images/generations",
    body: {
      ...(isEdit ? { images } : {}),
      ...(mask === undefined ? {} : { mask: { image_url: mask } }),
      prompt,
      model: imageModel(request.model).model,
      ...(count > 1 ? { n: count } : {}),
      ...options,
    },
    required: ["images", "mask", "prompt", "model"],
  };
}

/** One picture a response. */
function* withTool(request: ImageRequest, context: Context): Generator<Step, JsonObject, JsonObject> {
  const responses: ResponseObject[] = [];
  while (responses.length < request.count) {
    const response: ResponseObject = yield { translation: toToolCall(request, context) };
    picturesOf(response);
    responses.push(response);
  }
  const pictures = responses.flatMap((response) => picturesOf(response).slice(0, 1));
  return {
    created: Math.floor(context.now / 1000),
    ...looksOf(pictures[0] ?? {}, request.options),
    data: pictures.map(({ result, revised_prompt: prompt, output_format: format }) =>
      readable(
        { b64_json: result, ...(nonEmptyString(prompt) ? { revised_prompt: prompt } : {}) },
        request,
        nonEmptyString(format),
      ),
    ),
    ...usageOf(responses.map((response) => imageUsage(response, request.images.length > 0))),
  };
}

/** A picture where its client looks for it: images are kept nowhere, so a URL holds the picture itself. */
function readable(image: JsonObject, { wantsUrl, options }: ImageRequest, made: string | undefined): JsonObject {
  if (!wantsUrl) return image;
  const { b64_json: base64, ...rest } = image;
  const format = made ?? nonEmptyString(options["output_format"]) ?? "png";
  return { ...rest, url: `data:image/${format};base64,${String(base64)}` };
}

function endpointUsage(usage: unknown, { images }: ImageRequest): JsonObject | undefined {
  return isObject(usage) ? { ...usage, ...regularUsage(usage, images.length > 0) } : undefined;
}

/** Usages added up, key by key. */
function usageOf(usages: readonly unknown[]): { usage?: JsonObject } {
  const told = usages.filter(isObject);
  return told.length === 0 ? {} : { usage: told.reduce(sum) };
}

function sum(left: JsonObject, right: JsonObject): JsonObject {
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return Object.fromEntries(names.map((name) => [name, both(left[name], right[name])]));
}

function both(left: unknown, right: unknown): unknown {
  if (typeof left === "number" && typeof right === "number") return left + right;
  if (isObject(left) && isObject(right)) return sum(left, right);
  return left ?? right;
}
