import { Upload } from "../../codex/wire/endpoint-call.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import { parseJsonBytes } from "../../lib/large-json.ts";

/** Content codings, and who undoes them in `node:zlib`. */
const DECODERS = {
  gzip: "gunzip",
  "x-gzip": "gunzip",
  deflate: "inflate",
  br: "brotliDecompress",
  zstd: "zstdDecompress",
} as const;

type Unpack = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

/** In bytes. */
const LARGE = 1024 * 1024;

/** A request, and who counts the bytes of its body before they are held; that throws when there is no room. */
export interface Sender {
  readonly request: Request;
  readonly holdBody: (bytes: number) => void;
}

/** The request body, decoded. Throws `request_too_large` before more than `maxBytes` are held, packed or unpacked. */
export async function readBody(sender: Sender, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const { request, holdBody } = sender;
  const announced = Number(request.headers.get("content-length") ?? "0");
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (announced > 0) holdBody(announced);
  const bytes =
    announced > LARGE
      ? await readAnnounced(request, announced)
      : announced > 0
        ? new Uint8Array(await request.arrayBuffer())
        : await readChunks(sender, maxBytes);
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (encoding === "identity" || encoding === "") return bytes;
  const decoded = await decode(bytes, encoding, maxBytes);
  holdBody(decoded.length);
  return decoded;
}

/** JSON whatever the content type says: many callers of curl send none, or the form default. */
export async function parseBody(bytes: Uint8Array): Promise<unknown> {
  try {
    return await parseJsonBytes(bytes);
  } catch (error) {
    if (error instanceof RelayError) throw error;
    if (isBlank(bytes)) throw new RelayError("invalid_request", "The request body is empty; it must be JSON.");
    const reason = error instanceof Error ? error.message : "unreadable";
    throw new RelayError("invalid_request", `The request body is not valid JSON: ${reason}.`, { cause: error });
  }
}

/** The most fields that a form may have: sixteen images and everything else that has a name. */
const MOST_FIELDS = 200;

export function isForm(contentType: string): boolean {
  return /^multipart\/form-data\s*(;|$)/i.test(contentType.trim());
}

/** A multipart form: texts and files by name, in a list where a name comes again or ends in `[]`. */
export async function parseForm(bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<JsonObject> {
  const fields: [string, string | Upload][] = [];
  for (const [name, value] of await formOf(bytes, contentType)) {
    if (fields.length === MOST_FIELDS) {
      throw new RelayError("invalid_request", `The form has more than ${MOST_FIELDS} fields.`);
    }
    fields.push([name, typeof value === "string" ? value : await uploadOf(value as Blob)]);
  }
  const names = Map.groupBy(fields, ([name]) => name.replace(/\[\]$/, ""));
  return Object.fromEntries(
    [...names].map(([name, given]) => {
      const values = given.map(([, value]) => value);
      const isList = values.length > 1 || given.some(([full]) => full.endsWith("[]"));
      return [name, isList ? values : values[0]];
    }),
  );
}

async function formOf(bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<[string, unknown][]> {
  try {
    const form = await new Response(bytes, { headers: { "content-type": contentType } }).formData();
    return [...form.entries()];
  } catch (error) {
    throw new RelayError("invalid_request", "The request body is not a valid multipart form.", { cause: error });
  }
}

/** A part with an empty file name has no name at all. */
async function uploadOf(file: Blob & { readonly name?: string }): Promise<Upload> {
  return new Upload(file.name ?? "", file.type, new Uint8Array(await file.arrayBuffer()));
}

/** Each piece goes to its place as it comes; to put 64 MiB together at the end would hold up everyone else. */
async function readAnnounced(request: Request, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(size);
  let offset = 0;
  for await (const chunk of request.body ?? []) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole.subarray(0, offset);
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.length < 1024 && bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

async function readChunks({ request, holdBody }: Sender, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    holdBody(chunk.byteLength);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

async function decode(bytes: Uint8Array, encoding: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  if (!Object.hasOwn(DECODERS, encoding)) {
    throw new RelayError(
      "unsupported_media_type",
      `The content encoding '${encoding.slice(0, 40)}' is not supported.`,
      {
        hint: `Send the body plain or as ${Object.keys(DECODERS).join(", ")}.`,
      },
    );
  }
  // Few clients pack their bodies, and loading this takes as long as starting without it.
  const [zlib, { promisify }] = await Promise.all([import("node:zlib"), import("node:util")]);
  const unpack: Unpack = promisify(zlib[DECODERS[encoding as keyof typeof DECODERS]]);
  try {
    return new Uint8Array(await unpack(bytes, { maxOutputLength: maxBytes }));
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new RelayError("invalid_request", `The request body is not valid ${encoding}.`, { cause: error });
  }
}

function tooLarge(maxBytes: number): RelayError {
  const limit = Math.floor(maxBytes / (1024 * 1024));
  return new RelayError("request_too_large", `The request body is larger than ${limit} MiB.`);
}
