import type { OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import { wholeUsage } from "../../codex/output/usage.ts";
import { objectsOf } from "../../codex/wire/lenient.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";

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

/** How a picture looks: as its maker says, else as it was `asked` for. */
export function looksOf(made: JsonObject, asked: JsonObject = {}): JsonObject {
  const said = (name: string) => nonEmptyString(made[name]) ?? nonEmptyString(asked[name]);
  return {
    size: said("size") ?? "auto",
    quality: said("quality") ?? "auto",
    background: said("background") ?? "auto",
    output_format: said("output_format") ?? "png",
  };
}

/** What the drawing itself cost, where upstream says so; else the tokens of the response around it. */
export function imageUsage(response: ResponseObject, hasImages: boolean): JsonObject | undefined {
  const tools = response["tool_usage"];
  const drawing = isObject(tools) ? tools["image_gen"] : undefined;
  const own = isObject(drawing) && typeof drawing["total_tokens"] === "number" ? drawing : undefined;
  const whole = regularUsage(own ?? response.usage, hasImages);
  return whole && { ...own, ...whole };
}

/** A picture's usage with the fields that the public schema requires; undefined where there is none. */
export function regularUsage(usage: JsonObject | null | undefined, hasImages: boolean): JsonObject | undefined {
  const whole = wholeUsage(usage);
  if (!whole) return undefined;
  const { input_tokens: input, output_tokens: output, total_tokens: total } = whole;
  const told = isObject(usage?.["input_tokens_details"]) ? usage["input_tokens_details"] : {};
  // How much of the input was pictures nobody says, unless there were none: what is left of it then is text.
  const text = typeof told["text_tokens"] === "number" ? told["text_tokens"] : hasImages ? 0 : input;
  const image = typeof told["image_tokens"] === "number" ? told["image_tokens"] : input - text;
  return {
    input_tokens: input,
    input_tokens_details: { image_tokens: image, text_tokens: text },
    output_tokens: output,
    total_tokens: total,
  };
}
