import { homeFolder } from "../lib/home.ts";

/** Below it there would be no text left beside a label. */
const NARROWEST = 20;
/** Where a terminal does not say how wide it is. */
const USUAL = 80;

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Columns of a terminal: COLUMNS (POSIX 8.3) where it is a number, else what the terminal says; at least 20. */
export function columnsOf(stream: Stream, env: NodeJS.ProcessEnv = process.env): number {
  const said = Number(env["COLUMNS"]);
  const columns = Number.isInteger(said) && said > 0 ? said : stream.columns || USUAL;
  return Math.max(NARROWEST, columns);
}

/** Text for people, wrapped where it goes to a terminal; files and pipes get each line whole. */
export function fitted(text: string, stream: Stream, env: NodeJS.ProcessEnv = process.env): string {
  return stream.isTTY === true ? wrapText(text, columnsOf(stream, env), namesWithBlanks(env)) : text;
}

/** A home folder with a blank in it begins many paths, which are to be copied whole. */
function namesWithBlanks(env: NodeJS.ProcessEnv): string[] {
  return [homeFolder(env), process.cwd()].filter((folder) => folder.includes(" "));
}

/**
 * Each line in lines of at most `columns`, broken at blanks and continued under its own text: under the second column
 * where it has a label. What is between backticks, a word without blanks (a URL, a path) and the texts of `whole` are
 * never broken, so that they can be copied; they may stand out. Colors take no columns.
 */
export function wrapText(text: string, columns: number, whole: readonly string[] = []): string {
  return text
    .split("\n")
    .map((line) => (Bun.stringWidth(line) <= columns ? line : wrapLine(line, columns, whole)))
    .join("\n");
}

/** A label and the blanks after it, or the blanks before the text. */
const HEAD = /^(?: *\S(?:.*?\S)?? {2,}(?=\S)| *)/;

function wrapLine(line: string, columns: number, whole: readonly string[]): string {
  const own = /^ */.exec(line)?.[0] ?? "";
  const [label = ""] = HEAD.exec(line) ?? [];
  // A long label would leave a strip of text: then the text is continued under the label.
  const head = Bun.stringWidth(label) <= columns / 2 ? label : own;
  const indent = " ".repeat(Bun.stringWidth(head));
  return wrapWords(line.slice(head.length), columns - indent.length, whole)
    .map((part, index) => `${index === 0 ? head : indent}${part}`)
    .join("\n");
}

/** Filled up with blanks; letters of Chinese, Japanese and Korean take two columns. */
export function padded(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - Bun.stringWidth(text)));
}

/** Columns of the widest. */
export function widestOf(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => Bun.stringWidth(text)));
}

/** Words in lines of at most `columns`; at least one line. */
export function wrapWords(text: string, columns: number, whole: readonly string[] = []): string[] {
  const lines: string[] = [];
  for (const { blanks, word } of piecesOf(text, whole)) {
    const last = lines.at(-1);
    const joined = last === undefined ? word : `${last}${blanks}${word}`;
    if (last !== undefined && Bun.stringWidth(joined) <= columns) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines.length > 0 ? lines : [""];
}

function piecesOf(text: string, whole: readonly string[]): { blanks: string; word: string }[] {
  const units = [...whole.map((each) => RegExp.escape(each)), "`[^`]*`", "\\S"].join("|");
  const pieces = text.matchAll(new RegExp(`(\\s*)((?:${units})+)`, "g"));
  return Array.from(pieces, ([, blanks = "", word = ""]) => ({ blanks, word }));
}
