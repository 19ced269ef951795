import { Upload } from "../../codex/wire/endpoint-call.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { missing, unknownValue, wrongType } from "../refuse.ts";
import { unreadFields } from "../unread-fields.ts";

const FORMATS = ["json", "text", "verbose_json"] as const;
type TranscriptFormat = (typeof FORMATS)[number];

/** Formats whose every line has a time, or a speaker: the backend says neither. */
const TIMED = new Set(["srt", "vtt", "diarized_json"]);

/** A recording, and how its text is wanted. */
export interface TranscriptionRequest {
  readonly file: Upload;
  readonly prompt: string | undefined;
  readonly model: string | undefined;
  readonly format: TranscriptFormat;
  readonly isStreaming: boolean;
  /** Fields that have no effect here. */
  readonly dropped: readonly string[];
}

/** Fields that are honoured. All others are named. */
const READ = new Set(["file", "model", "prompt", "response_format", "stream"]);

/** Throws RelayError with the field at fault. */
export function parseTranscriptionRequest(body: unknown): TranscriptionRequest {
  if (!isObject(body)) throw new RelayError("invalid_request", "The request body must be a multipart/form-data form.");
  const file = body["file"];
  if (file === undefined || file === "") throw missing("file");
  if (!(file instanceof Upload)) throw wrongType("file", "one file with a file name", file);
  if (file.bytes.length === 0) throw new RelayError("invalid_value", "The file is empty.", { param: "file" });
  if ([body["timestamp_granularities"]].flat().includes("word")) throw untimed("timestamp_granularities");
  return {
    file: named(file),
    prompt: text(body, "prompt"),
    model: text(body, "model"),
    format: formatOf(text(body, "response_format") ?? "json"),
    isStreaming: flag(body, "stream"),
    dropped: unreadFields(body, READ).filter((name) => body[name] !== ""),
  };
}

function text(body: JsonObject, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || typeof value === "string") return nonEmptyString(value);
  throw wrongType(name, "a text", value instanceof Upload ? {} : value);
}

/** Forms spell out true and false, in any case of letters. */
function flag(body: JsonObject, name: string): boolean {
  const value = text(body, name)?.toLowerCase();
  if (value === undefined || value === "false") return false;
  if (value === "true") return true;
  throw unknownValue(value, "'true' and 'false'", name);
}

function formatOf(format: string): TranscriptFormat {
  const known = FORMATS.find((name) => name === format);
  if (known !== undefined) return known;
  if (TIMED.has(format)) throw untimed("response_format");
  throw unknownValue(format, "'json', 'text', and 'verbose_json'", "response_format");
}

function untimed(param: string): RelayError {
  return new RelayError("unsupported_value", "The backend's transcripts have no times and no speakers.", {
    param,
    hint: "Ask for 'json', 'text' or 'verbose_json'.",
  });
}

/** The backend tells the kind of a recording by its name. */
function named(file: Upload): Upload {
  if (file.name !== "") return file;
  const kind = /^audio\/(?:x-)?([a-z0-9]+)/i.exec(file.type)?.[1] ?? "wav";
  return new Upload(`audio.${kind}`, file.type, file.bytes);
}
