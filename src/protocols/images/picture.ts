import type { OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import { objectsOf } from "../../codex/wire/lenient.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { ImageRequest } from "./schema.ts";

/** A call of the drawing tool that has its picture. */
export type Picture = OutputItem & { readonly result: string };

/** The pictures of a response that drew with the tool. Throws `upstream_rejected` when there is none. */
export function picturesOf(response: ResponseObject): Picture[] {
  const items = objectsOf(response.output);
  const pictures = items.filter(
    (item): item is Picture => item.type === "image_generation_call" && Boolean(nonEmptyString(item.result)),
  );
  if (pictures.length > 0) return pictures;
  const said = items.flatMap((item) => objectsOf(item.content).map((part) => part.text ?? part.refusal ?? ""));
  const reason = said.join(" ").trim().slice(0, 1000);
  throw new RelayError("upstream_rejected", reason === "" ? "No image was made." : `No image was made: ${reason}`);
}

/** How a picture looks: as its maker says, else as it was asked for. */
export function looksOf(made: JsonObject, { options }: ImageRequest): JsonObject {
  const said = (name: string) => nonEmptyString(made[name]) ?? nonEmptyString(options[name]);
  return {
    size: said("size") ?? "auto",
    quality: said("quality") ?? "auto",
    background: said("background") ?? "auto",
    output_format: said("output_format") ?? "png",
  };
}

/** What the drawing itself cost, where upstream says so; else the tokens of the response around it. */
export function imageUsage(response: ResponseObject, { images }: ImageRequest): JsonObject | undefined {
  const tools = response["tool_usage"];
  const drawing = isObject(tools) ? tools["image_gen"] : undefined;
  if (isObject(drawing) && typeof drawing["total_tokens"] === "number") return drawing;
  const { usage } = response;
  if (!usage) return undefined;
  const { input_tokens: input, output_tokens: output } = usage;
  return {
    input_tokens: input,
    // How much of the input was pictures nobody says, unless there were none.
    ...(images.length === 0 ? { input_tokens_details: { image_tokens: 0, text_tokens: input } } : {}),
    output_tokens: output,
    total_tokens: usage.total_tokens ?? input + output,
  };
}
