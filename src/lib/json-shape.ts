import { RelayError } from "./errors.ts";
import { isObject } from "./json.ts";

/** Smaller texts cannot hold so many values that these alone would hold up others. In characters. */
export const MANY = 1024 * 1024;
/**
 * The most values that a request may consist of, with all that it refers to: the longest conversations of agents have
 * some ten thousand, and each costs time in every later step.
 */
export const MOST_VALUES = 200_000;
/** Nobody nests a request that deeply, and what looks into it would go as deep, for seconds, to the end of the stack. */
export const DEEPEST = 500;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [ARRAY, ARRAY_END] = [0x5b, 0x5d];
const [OBJECT, OBJECT_END] = [0x7b, 0x7d];

/**
 * Looks at a value that was parsed: for a text of moderate size a fraction of what reading the text once more would cost.
 * Throws `invalid_request` when it is nested too deeply.
 */
export function refuseDepth(value: unknown): void {
  if (isDeeper(value, DEEPEST)) throw tooDeep();
}

/** Level by level, as deep as it may be and no further. */
function isDeeper(root: unknown, levels: number): boolean {
  let level: unknown[] = [root];
  for (let left = levels; left > 0; left -= 1) {
    const below: unknown[] = [];
    for (const value of level) {
      if (Array.isArray(value)) {
        for (const entry of value) if (mayNest(entry)) below.push(entry);
      } else if (isObject(value)) {
        for (const name in value) if (mayNest(value[name])) below.push(value[name]);
      }
    }
    if (below.length === 0) return false;
    level = below;
  }
  return true;
}

function mayNest(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/**
 * Looks at a JSON text of more than `MANY` characters before it is parsed. Throws `invalid_request` when it is nested too
 * deeply, and `request_too_large` when it consists of very many small things. What is no JSON may pass or not: it fails
 * all the same.
 */
export function refuseShapes(text: string): void {
  const { isDeep, values } = shapeOf(text);
  if (isDeep) throw tooDeep();
  if (values > MOST_VALUES) throw tooMany();
}

/** True for a JSON text that is nested more deeply than a request may be. Of what is no JSON it says nothing. */
export function isNestedTooDeeply(text: string): boolean {
  return shapeOf(text).isDeep;
}

/** `values` only up to where it gets too deep, and only for a text that is long enough for that. */
function shapeOf(text: string): { readonly isDeep: boolean; readonly values: number } {
  let depth = 0;
  let values = 1;
  // Each level takes two characters.
  if (text.length <= 2 * DEEPEST) return { isDeep: false, values };
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at + 1);
    else if (code === COMMA) values += 1;
    else if (code === OBJECT || code === ARRAY) {
      depth += 1;
      values += 1;
      if (depth > DEEPEST) return { isDeep: true, values };
    } else if (code === OBJECT_END || code === ARRAY_END) depth -= 1;
  }
  return { isDeep: false, values };
}

/** The place of the closing quote of the string whose content begins at `start`. */
function endOfString(text: string, start: number): number {
  // Most of a body is text, and `indexOf` is through it before a loop of one's own has begun.
  let at = text.indexOf('"', start);
  while (at >= 0 && isEscaped(text, start, at)) at = text.indexOf('"', at + 1);
  return at < 0 ? text.length : at;
}

/** After an odd number of backslashes. */
function isEscaped(text: string, start: number, at: number): boolean {
  let first = at;
  while (first > start && text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}

/** What a request is refused with that is nested too deeply. */
export function tooDeep(): RelayError {
  return new RelayError("invalid_request", `The request body is nested more than ${DEEPEST} levels deep.`);
}

/** What a request of more than `MOST_VALUES` values is refused with. */
export function tooMany(): RelayError {
  const most = MOST_VALUES.toLocaleString("en");
  return new RelayError("request_too_large", `The request holds more than ${most} values.`);
}
