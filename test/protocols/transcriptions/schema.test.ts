import { expect, test } from "bun:test";
import { Upload } from "../../../src/codex/wire/endpoint-call.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { parseTranscriptionRequest } from "../../../src/protocols/transcriptions/schema.ts";

const file = new Upload("memo.wav", "audio/wav", new Uint8Array(4));
const parse = (over: object) => parseTranscriptionRequest({ file, model: "whisper-1", ...over });
const refused = (over: object): string | undefined => {
  try {
    parse(over);
    return undefined;
  } catch (error) {
    if (error instanceof RelayError) return error.param;
    throw error;
  }
};

test.each([
  ["true", true],
  ["TRUE", true],
  ["False", false],
])("stream=%s of a form means what it says (BerriAI/litellm#25633)", (stream, isStreaming) => {
  expect(parse({ stream }).isStreaming).toBe(isStreaming);
});

test("times of segments are left out and named; times of words, and what is no boolean, are refused", () => {
  for (const given of ["segment", ["segment"]]) {
    expect(parse({ timestamp_granularities: given }).dropped).toEqual(["timestamp_granularities"]);
  }
  for (const given of ["word", ["segment", "word"]]) {
    expect(refused({ timestamp_granularities: given })).toBe("timestamp_granularities");
  }
  expect(refused({ stream: "perhaps" })).toBe("stream");
});

test("fields that nobody reads are named", () => {
  expect(parse({ language: "en", temperature: "0", hotwords: "x", prompt: "p", include: "" }).dropped).toEqual([
    "hotwords",
    "language",
    "temperature",
  ]);
});
