import { Upload } from "../../codex/wire/endpoint-call.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { missing, wrongType } from "../refuse.ts";

/** As at the public API. */
const MOST_IMAGES = 16;

/**
 * The pictures that an edit starts from, as URLs. Forms bring files in `image`, JSON brings URLs in `image` or
 * `images`. Throws RelayError with the field at fault.
 */
export function sourcesOf(body: JsonObject): { images: string[]; mask: string | undefined } {
  const name = body["images"] === undefined || body["images"] === null ? "image" : "images";
  const value = body[name];
  if (value === undefined || value === null || value === "") throw missing("image");
  const isList = Array.isArray(value);
  const list: unknown[] = isList ? (value as unknown[]) : [value];
  if (list.length === 0) throw new RelayError("empty_array", `Invalid '${name}': empty array.`, { param: name });
  if (list.length > MOST_IMAGES) {
    const message = `Invalid '${name}': array too long. Expected at most ${MOST_IMAGES} images, but got ${list.length}.`;
    throw new RelayError("array_above_max_length", message, { param: name });
  }
  const mask = body["mask"];
  return {
    images: list.map((entry, index) => urlOf(entry, isList ? `${name}[${index}]` : name)),
    mask: mask === undefined || mask === null || mask === "" ? undefined : urlOf(mask, "mask"),
  };
}

function urlOf(source: unknown, param: string): string {
  if (source instanceof Upload) return dataUrl(source, param);
  const inner = isObject(source) ? (source["image_url"] ?? source["url"]) : source;
  const url = isObject(inner) ? inner["url"] : inner;
  if (isObject(source) && nonEmptyString(source["file_id"])) {
    throw new RelayError("unsupported_parameter", "Uploaded files are not supported; send the image itself.", {
      param: `${param}.file_id`,
    });
  }
  if (url === undefined || url === null) throw missing(isObject(source) ? `${param}.image_url` : param);
  if (typeof url !== "string") throw wrongType(param, "a file, a URL or a data URL", url);
  if (/^(https?:\/\/|data:image\/)/i.test(url)) return url;
  throw new RelayError("invalid_value", "Invalid image: expected a file, a URL or a data URL.", { param });
}

/** First bytes by kind of image; what a sender calls its file is often wrong, or nothing. */
const KINDS: readonly (readonly [string, RegExp])[] = [
  ["png", /^\x89PNG\r\n/],
  ["jpeg", /^\xff\xd8\xff/],
  ["webp", /^RIFF[\s\S]{4}WEBP/],
];

function dataUrl({ bytes }: Upload, param: string): string {
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  const kind = KINDS.find(([, pattern]) => pattern.test(start))?.[0];
  if (kind !== undefined) return `data:image/${kind};base64,${bytes.toBase64()}`;
  throw new RelayError("invalid_value", "Invalid image file: expected PNG, JPEG or WebP.", { param });
}
