import { Upload } from "../../codex/wire/endpoint-call.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";

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
    fields.push([name, value instanceof Blob ? await uploadOf(value) : String(value)]);
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
