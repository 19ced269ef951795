import { fstatSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileFailure } from "../../lib/file-failure.ts";
import { RelayError } from "../../lib/errors.ts";
import { expandTilde } from "../../lib/home.ts";

/** What is asked of the model. */
export interface Question {
  readonly text: string;
  /** As a data URL. */
  readonly image: string | undefined;
}

/** First bytes of the image formats that the backend takes. */
const IMAGE_TYPES: readonly (readonly [type: string, start: RegExp])[] = [
  ["image/png", /^\u0089PNG/],
  ["image/jpeg", /^\u00ff\u00d8\u00ff/],
  ["image/gif", /^GIF8/],
  ["image/webp", /^RIFF.{4}WEBP/s],
];

/** The words of the command line, then what is piped in. Throws `usage` when both are empty. */
export async function questionOf(words: readonly string[], imageFile: string | undefined): Promise<Question> {
  const piped = isPiped() ? (await Bun.stdin.text()).trim() : "";
  const text = [words.join(" ").trim(), piped].filter((part) => part !== "").join("\n\n");
  if (text === "") {
    throw new RelayError("usage", "The question is missing.", {
      hint: 'Write it: `plansocket ask "Why is the sky blue?"`.',
    });
  }
  return { text, image: imageFile === undefined ? undefined : await imageUrl(expandTilde(imageFile)) };
}

/** A terminal is not read, and neither is the null device of a service. */
function isPiped(): boolean {
  try {
    const facts = fstatSync(0);
    return facts.isFIFO() || facts.isFile() || facts.isSocket();
  } catch {
    // Standard input is closed.
    return false;
  }
}

async function imageUrl(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fileFailure(error, { code: "usage", path, verb: "read" }) ?? error;
  });
  const start = bytes.subarray(0, 12).toString("latin1");
  const type = IMAGE_TYPES.find(([, pattern]) => pattern.test(start))?.[0];
  if (type === undefined) {
    throw new RelayError("usage", `${path} is not a PNG, JPEG, GIF or WebP image.`, {
      hint: "Convert it to one of these first.",
    });
  }
  return `data:${type};base64,${bytes.toString("base64")}`;
}
