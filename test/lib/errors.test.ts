import { expect, test } from "bun:test";
import { RelayError } from "../../src/lib/errors.ts";
import { openaiError } from "../../src/lib/openai-error.ts";

test.each([
  ["Unauthorized", "Unauthorized. Sign in again."],
  ["The token has expired.", "The token has expired. Sign in again."],
  ["Who are you?", "Who are you? Sign in again."],
])("a hint is a sentence of its own after %j", (message, told) => {
  const error = new RelayError("upstream_unauthorized", message, { hint: "Sign in again." });
  expect(openaiError(error)).toMatchObject({ error: { message: told } });
  expect(new RelayError("upstream_unauthorized", message).explanation).toBe(message);
});
