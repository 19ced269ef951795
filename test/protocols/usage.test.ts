import { expect, test } from "bun:test";
import { toChatUsage } from "../../src/protocols/usage.ts";

test("tokens that upstream wrote to its cache are told under Chat Completions' name for them", () => {
  const usage = {
    input_tokens: 9,
    input_tokens_details: { cached_tokens: 2, cache_write_tokens: 5 },
    output_tokens: 1,
  };
  expect(toChatUsage(usage).prompt_tokens_details).toEqual({
    cached_tokens: 2,
    cache_write_tokens: 5,
    audio_tokens: 0,
  });
});
