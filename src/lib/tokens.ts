import vocabularyPath from "gpt-tokenizer/data/o200k_base.tiktoken" with { type: "file" };

/** Longer runs without a break cost the tokenizer time by their square; in pieces they count a token more, if that. */
const LONGEST_RUN = 256;
const LONG_RUN = new RegExp(`\\S{${LONGEST_RUN + 1},}|\\s{${LONGEST_RUN + 1},}`, "g");

/** Counts the tokens of one text. */
export type TokenCounter = (text: string) => number;

let counter: Promise<TokenCounter> | undefined;

/**
 * A counter in the vocabulary of the backend's models (o200k). Reading it takes a fifth of a second and some 100 MB of memory,
 * so that happens when somebody first counts.
 */
export function tokenCounter(): Promise<TokenCounter> {
  counter ??= load();
  return counter;
}

async function load(): Promise<TokenCounter> {
  const [{ BytePairEncodingCore }, { O200K_TOKEN_SPLIT_REGEX }, vocabulary] = await Promise.all([
    import("gpt-tokenizer/BytePairEncodingCore"),
    import("gpt-tokenizer/encodingParams/constants"),
    Bun.file(vocabularyPath).text(),
  ]);
  const core = new BytePairEncodingCore({
    bytePairRankDecoder: readVocabulary(vocabulary),
    tokenSplitRegex: O200K_TOKEN_SPLIT_REGEX,
    // The library remembers every word that it took apart; a relay runs for weeks.
    mergeCacheSize: 10_000,
  });
  return (text) => inPieces(text).reduce((sum, piece) => sum + core.countNative(piece), 0);
}

/** Lines of `base64 rank`, in order of rank: tokens that are no text of their own stay bytes. */
export function readVocabulary(text: string): (string | number[])[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const bytes = Uint8Array.fromBase64(line.slice(0, line.indexOf(" ")));
    try {
      return decoder.decode(bytes);
    } catch {
      return [...bytes];
    }
  });
}

function inPieces(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (const { index, 0: run } of text.matchAll(LONG_RUN)) {
    pieces.push(text.slice(start, index));
    for (let at = 0; at < run.length; at += LONGEST_RUN) pieces.push(run.slice(at, at + LONGEST_RUN));
    start = index + run.length;
  }
  pieces.push(text.slice(start));
  return pieces;
}
