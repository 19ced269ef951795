import { sha256Hex } from "../../../lib/hash.ts";

const VALID = /^[A-Za-z0-9_-]{1,64}$/;

/** The backend's limit on `call_id`. */
const LONGEST_CALL_ID = 64;

/** A tool name that the backend takes. Others are cut and get a hash, so that two that differ stay different. */
export function wireToolName(name: string): string {
  if (VALID.test(name)) return name;
  return `${name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 55)}_${sha256Hex(name).slice(0, 8)}`;
}

/** A call id that the backend takes; the same id always becomes the same. */
export function wireCallId(id: string): string {
  return id.length > 0 && id.length <= LONGEST_CALL_ID ? id : `call_${sha256Hex(id).slice(0, 32)}`;
}
