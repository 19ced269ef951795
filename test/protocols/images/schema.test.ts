import { describe, expect, test } from "bun:test";
import { RelayError } from "../../../src/lib/errors.ts";
import { parseImageRequest } from "../../../src/protocols/images/schema.ts";

const parse = (over: object) => parseImageRequest({ prompt: "a kite", ...over }, false);

describe("words of older picture models are said in today's, and named", () => {
  test.each([
    [{ quality: "hd" }, { quality: "high" }, ["quality"]],
    [{ quality: "standard" }, { quality: "medium" }, ["quality"]],
    [{ quality: "low" }, { quality: "low" }, []],
    [{ size: "1792x1024" }, { size: "1536x1024" }, ["size"]],
    [{ size: "1024x1792" }, { size: "1024x1536" }, ["size"]],
    [{ size: "256x256", model: "dall-e-2" }, { size: "1024x1024" }, ["model", "size"]],
    [{ size: "1024x1024" }, { size: "1024x1024" }, []],
  ])("%j", (over, options, changed) => {
    const request = parse(over);
    expect([request.options, request.changed]).toEqual([options, changed]);
  });

  test("a URL of the picture is one that holds it", () => {
    const request = parse({ response_format: "url" });
    expect([request.wantsUrl, request.changed]).toEqual([true, ["response_format"]]);
    expect(() => parse({ response_format: "file" })).toThrow(RelayError);
  });
});

test("fields that nobody reads are named, whatever they are", () => {
  expect(parse({ style: "vivid", user: "u", seed: 7, partial_images: 2, watermark: null }).dropped).toEqual([
    "partial_images",
    "seed",
    "style",
    "user",
  ]);
  expect(parse({ stream: true, partial_images: 2 }).dropped).toEqual([]);
});

test.each([
  ["true", true],
  ["TRUE", true],
  ["False", false],
])("a form's stream=%s", (stream, isStreaming) => {
  expect(parse({ stream }).isStreaming).toBe(isStreaming);
});

test("a form's stream that is neither is refused by its name", () => {
  expect(() => parse({ stream: "perhaps" })).toThrow(/stream/);
});
