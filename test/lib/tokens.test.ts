import { expect, test } from "bun:test";
import ranks from "gpt-tokenizer/bpeRanks/o200k_base";
import vocabularyPath from "gpt-tokenizer/data/o200k_base.tiktoken" with { type: "file" };
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { readVocabulary, tokenCounter } from "../../src/lib/tokens.ts";

test("the vocabulary is read as the library has it", async () => {
  const read = await readVocabulary(await Bun.file(vocabularyPath).text());
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
  expect(await (await tokenCounter())(text)).toBe(tokens);
});

test("texts of every kind count as in the library itself", async () => {
  const count = await tokenCounter();
  // Runs longer than this are counted in pieces, as the next test has it.
  const source = (await Bun.file("README.md").text()).replace(/\S{257,}|\s{257,}/g, "…");
  for (const text of [source, "naïve 日本語 emoji 👩‍👩‍👧 \u2028", '{"a":[1,22,333]}', "\n\n\n   x\t\ty", "ﷺ"]) {
    expect(await count(text)).toBe(countTokens(text));
  }
});

test("text that looks like a mark of the model's own is text", async () => {
  expect(await (await tokenCounter())("<|endoftext|>")).toBeGreaterThan(1);
});

test("endless words take time by their length only, at the price of few tokens", async () => {
  const count = await tokenCounter();
  const started = performance.now();
  const word = await count("ab".repeat(500_000));
  const space = await count(" ".repeat(1_000_000));
  // In one piece either takes minutes.
  expect(performance.now() - started).toBeLessThan(20_000);
  expect(word).toBeGreaterThan(100_000);
  expect(space).toBeGreaterThan(1000);
  const usual = "abcdefgh".repeat(25);
  expect(await count(usual)).toBe(countTokens(usual));
});

test("a book is counted in pieces: others have their turn, and no token is counted twice", async () => {
  const count = await tokenCounter();
  const chapter = "It was the best of times, it was the worst of times; and so on (see below).\n\nThen more follows. ";
  const book = chapter.repeat(10_000);
  let turns = 0;
  const tick = () => {
    turns += 1;
    pending = setImmediate(tick);
  };
  let pending = setImmediate(tick);
  const tokens = await count(book);
  clearImmediate(pending);
  expect(turns).toBeGreaterThan(20);
  expect(tokens).toBe(countTokens(book));
});
