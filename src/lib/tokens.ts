import { turn } from "./large-json.ts";
import vocabularyPath from "gpt-tokenizer/data/o200k_base.tiktoken" with { type: "file" };

/** Longer runs without a break cost the tokenizer time by their square; in pieces they count a token more, if that. */
const LONGEST_RUN = 256;
/** What takes some ten milliseconds to count. In characters. */
const PIECE = 32 * 1024;
const LONG_RUN = new RegExp(`\\S{${LONGEST_RUN + 1},}|\\s{${LONGEST_RUN + 1},}`, "g");

/** Counts the tokens of one text. A long one is counted in pieces, between which the event loop turns. */
export type TokenCounter = (text: string) => Promise<number>;

let counter: Promise<TokenCounter> | undefined;
/** Counts at once, however long the text; undefined until the vocabulary has been read. */
let countAtOnce: ((text: string) => number) | undefined;

/**
 * A counter in the vocabulary of the backend's models (o200k). Reading it takes a fifth of a second and some 100 MB of memory,
 * so that happens when somebody first counts.
 */
export function tokenCounter(): Promise<TokenCounter> {
  counter ??= load();
  return counter;
}

/** The tokens of a short text, if the vocabulary has been read. */
export function countTokensNow(text: string): number | undefined {
  return countAtOnce?.(text);
}

async function load(): Promise<TokenCounter> {
  const [{ BytePairEncodingCore }, { O200K_TOKEN_SPLIT_REGEX }, vocabulary] = await Promise.all([
    import("gpt-tokenizer/BytePairEncodingCore"),
    import("gpt-tokenizer/encodingParams/constants"),
    Bun.file(vocabularyPath).text(),
  ]);
  const tokens = await readVocabulary(vocabulary);
  await turn();
  const core = new BytePairEncodingCore({
    bytePairRankDecoder: tokens,
    tokenSplitRegex: O200K_TOKEN_SPLIT_REGEX,
    // The library remembers every word that it took apart; a relay runs for weeks.
    mergeCacheSize: 10_000,
  });
  countAtOnce = (text) => {
    let count = 0;
    for (const piece of inPieces(text)) count += core.countNative(piece);
    return count;
  };
  return async (text) => {
    let count = 0;
    let sinceTurn = 0;
    for (const piece of inPieces(text)) {
      if ((sinceTurn += piece.length) > PIECE) {
        await turn();
        sinceTurn = 0;
      }
      count += core.countNative(piece);
    }
    return count;
  };
}

/** Lines read between two turns of the event loop: some ten milliseconds. */
const LINES = 20_000;

/** Lines of `base64 rank`, in order of rank: tokens that are no text of their own stay bytes. */
export async function readVocabulary(text: string): Promise<(string | number[])[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const lines = text.split("\n").filter((line) => line !== "");
  const tokens: (string | number[])[] = [];
  for (const [index, line] of lines.entries()) {
    if (index % LINES === 0) await turn();
    const bytes = Uint8Array.fromBase64(line.slice(0, line.indexOf(" ")));
    try {
      tokens.push(decoder.decode(bytes));
    } catch {
      tokens.push([...bytes]);
    }
  }
  return tokens;
}

function* inPieces(text: string): Iterable<string> {
  for (const part of betweenWords(text)) {
    let start = 0;
    for (const { index, 0: run } of part.matchAll(LONG_RUN)) {
      yield part.slice(start, index);
      for (let at = 0; at < run.length; at += LONGEST_RUN) yield run.slice(at, at + LONGEST_RUN);
      start = index + run.length;
    }
    yield part.slice(start);
  }
}

/** A long text cut where a word begins: the space before a word belongs to its token. */
function* betweenWords(text: string): Iterable<string> {
  let from = 0;
  while (text.length - from > 2 * PIECE) {
    const place = text.slice(from + PIECE, from + 2 * PIECE).search(/(?<=\S) [a-z]/i);
    // Text without spaces, as in Chinese: a cut costs a token, if that.
    const cut = from + PIECE + Math.max(0, place);
    yield text.slice(from, cut);
    from = cut;
  }
  yield text.slice(from);
}
