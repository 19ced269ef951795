import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { report } from "./report.ts";

const src = join(import.meta.dir, "../../src");

/** A regular expression literal, well enough told apart from divisions and comments. */
const LITERAL = /(?<=[=(,:!&|?[{}\s])\/(?![*/])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([dgimsuvy]*)/g;

interface Pattern {
  readonly file: string;
  readonly regex: RegExp;
}

/** What strangers' texts reach. The command line reads its owner's files and words, the stand-in speaks to nobody. */
const FOLDERS = "{server,protocols,codex,keys,upstream,auth,lib}/**/*.ts";

/** Every pattern in them. */
function patterns(): Pattern[] {
  const files = [...new Bun.Glob(FOLDERS).scanSync(src)];
  return files.flatMap((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return [...text.matchAll(LITERAL)].flatMap(([, source = "", flags = ""]) => {
      try {
        // A sticky pattern looks at one place alone.
        return [{ file, regex: new RegExp(source, flags.replace("g", "")) }];
      } catch {
        return [];
      }
    });
  });
}

const LENGTH = 30_000;
/** Linear ones need a millisecond or less; ones that look at every pair of places hundreds. */
const SLOW_MS = 60;
/** For four times the text, linear ones need four times as long, the others sixteen, on whichever machine. */
const STEEP = 9;

/** Long texts that nearly fit: what stands in the pattern, again and again, with an end that spoils it. */
function* pumped({ source }: RegExp): Iterable<string> {
  const words = [...new Set(source.replace(/\\[a-z]/gi, " ").match(/[A-Za-z0-9]{2,}/g) ?? [])].slice(0, 5);
  const signs = [...new Set(source.replace(/\\[a-z]|[A-Za-z0-9]/g, ""))].slice(0, 8);
  const units = [...words, ...signs, "a", "1", " ", "-", "\t", "\n", "[", '"', "=", "a1", "x "];
  for (const one of units) {
    for (const other of ["", ...units]) {
      const body = (one + other).repeat(Math.ceil(LENGTH / (one.length + other.length)));
      for (const head of ["", ...words]) yield `${head}${body}\u0001`;
    }
  }
}

function slowest({ regex }: Pattern): { readonly ms: number; readonly text: string } {
  let worst = { ms: 0, text: "" };
  for (const text of pumped(regex)) {
    const ms = timeOf(regex, text);
    if (ms > worst.ms) worst = { ms, text };
    if (ms > SLOW_MS) break;
  }
  // Other work on the machine is slow once, a bad pattern is every time.
  const again = [1, 2, 3].map(() => timeOf(regex, worst.text));
  const quarter = worst.text.slice(-worst.text.length / 4);
  const quarterMs = Math.min(...[1, 2, 3].map(() => timeOf(regex, quarter)));
  const ms = Math.min(worst.ms, ...again);
  return { ms: ms / quarterMs > STEEP ? ms : 0, text: worst.text };
}

function timeOf(regex: RegExp, text: string): number {
  regex.lastIndex = 0;
  const started = performance.now();
  regex.test(text);
  return performance.now() - started;
}

test("no pattern takes more than its share of time on texts that nearly fit", () => {
  const all = patterns();
  expect(all.length).toBeGreaterThan(60);
  const slow = all.flatMap((pattern) => {
    const { ms, text } = slowest(pattern);
    return ms > SLOW_MS
      ? [`${pattern.file}: ${String(pattern.regex)} ${Math.round(ms)} ms on ${JSON.stringify(text.slice(0, 20))}`]
      : [];
  });
  expect(slow).toEqual([]);
  report("input", "regular expressions with texts that nearly fit", all.length);
}, 300_000);
