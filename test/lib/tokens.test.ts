import { expect, test } from "bun:test";
import ranks from "gpt-tokenizer/bpeRanks/o200k_base";
import vocabularyPath from "gpt-tokenizer/data/o200k_base.tiktoken" with { type: "file" };
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { readVocabulary, tokenCounter } from "../../src/lib/tokens.ts";

test("the vocabulary is read as the library has it", async () => {
  const read = readVocabulary(await Bun.file(vocabularyPath).text());
  expect(read.length).toBe(ranks.length);
  // The library keeps the few tokens that begin with a byte order mark as bytes.
  const bytes = (token: string | readonly number[] | undefined) => Buffer.from((token ?? "") as string).toString("hex");
  expect(read.findIndex((token, rank) => bytes(token) !== bytes(ranks[rank]))).toBe(-1);
});

test.each([
  ["hello world", 2],
  ["", 0],
  // A count that the public tokenizer gives for this model family.
  ["The quick brown fox jumps over the lazy dog.", 10],
])("%p has its known number of tokens", async (text, tokens) => {
  expect((await tokenCounter())(text)).toBe(tokens);
});

test("texts of every kind count as in the library itself", async () => {
  const count = await tokenCounter();
  // Runs longer than this are counted in pieces, as the next test has it.
  const source = (await Bun.file("README.md").text()).replace(/\S{257,}|\s{257,}/g, "…");
  for (const text of [source, "naïve 日本語 emoji 👩‍👩‍👧 \u2028", '{"a":[1,22,333]}', "\n\n\n   x\t\ty", "ﷺ"]) {
    expect(count(text)).toBe(countTokens(text));
  }
});

test("text that looks like a mark of the model's own is text", async () => {
  expect((await tokenCounter())("<|endoftext|>")).toBeGreaterThan(1);
});

test("endless words take time by their length only, at the price of few tokens", async () => {
  const count = await tokenCounter();
  const started = performance.now();
  const word = count("ab".repeat(500_000));
  const space = count(" ".repeat(1_000_000));
  // In one piece either takes minutes.
  expect(performance.now() - started).toBeLessThan(20_000);
  expect(word).toBeGreaterThan(100_000);
  expect(space).toBeGreaterThan(1000);
  const usual = "abcdefgh".repeat(25);
  expect(count(usual)).toBe(countTokens(usual));
});
