import { isEndpointRefused } from "../../codex/wire/endpoint-call.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Answer, Dialogue } from "../exchange.ts";
import type { TranscriptionRequest } from "./schema.ts";
import { wavSeconds } from "./wav.ts";

/** One question: there is nothing else in the backend that listens. */
export function* transcribe(request: TranscriptionRequest): Dialogue {
  const { file, prompt } = request;
  const body = { file, ...(prompt === undefined ? {} : { prompt }) };
  let answer: JsonObject;
  try {
    answer = yield { endpointCall: { endpoint: "/transcribe", body, required: ["file"] } };
  } catch (thrown) {
    const error = toRelayError(thrown);
    if (error.code === "upstream_challenge") throw challenged(error);
    if (!isEndpointRefused(error)) throw error;
    throw new RelayError("not_implemented", "The backend does not transcribe for this account.", {
      shouldRetry: false,
      cause: error,
    });
  }
  if (typeof answer["text"] !== "string") {
    throw new RelayError("upstream_error", "Upstream's answer has no transcript.", { shouldRetry: false });
  }
  return inForm(request, answer["text"], answer);
}

/** The backend lets only TLS handshakes that it knows to this endpoint; the relay imitates none. */
function challenged(error: RelayError): RelayError {
  return error.reworded("The backend's transcription endpoint refused this program's TLS handshake with a web page.", {
    shouldRetry: false,
    hint: "Other endpoints are not concerned. Transcribe with a local Whisper server, or with an API key.",
  });
}

function inForm(request: TranscriptionRequest, text: string, answer: JsonObject): Answer {
  if (request.isStreaming) {
    // The backend says it all at once, and so does the stream.
    const events = [...(text === "" ? [] : [{ type: "transcript.text.delta", delta: text }]), doneEvent(text)];
    return { frames: events.map((event) => ({ event: event.type, data: event })) };
  }
  if (request.format === "text") return { text: `${text}\n`, contentType: "text/plain; charset=utf-8" };
  return { json: request.format === "json" ? { text } : verbose(request, text, answer) };
}

function doneEvent(text: string) {
  return { type: "transcript.text.done", text };
}

/** What only the backend can know, if it says so. */
const TOLD = ["language", "duration", "segments", "words", "usage"];

function verbose({ file }: TranscriptionRequest, text: string, answer: JsonObject): JsonObject {
  const told = TOLD.filter((name) => answer[name] !== undefined && answer[name] !== null);
  const seconds = wavSeconds(file.bytes);
  return {
    task: "transcribe",
    ...(seconds === undefined ? {} : { duration: seconds }),
    text,
    ...Object.fromEntries(told.map((name) => [name, answer[name]])),
  };
}
