/**
 * Characters that a terminal acts on instead of showing: both control ranges (ECMA-48), line separators, and the marks
 * that turn the direction of writing (Unicode UAX #9). Tab and line feed are among them.
 */
// eslint-disable-next-line no-control-regex -- control characters are exactly what is meant
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Escape sequences as a whole, so that `ESC [ 31 m` leaves no `[31m` behind: OSC with its text, CSI, two characters. */
const ESCAPES =
  // eslint-disable-next-line no-control-regex -- the escape character begins every sequence
  /(?:\u001b\]|\u009d)[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|\u001b[@-_]?/g;

/** One line that cannot move the cursor, forge another line or read backwards. */
export function printableLine(text: string): string {
  return text.replace(ESCAPES, "").replace(CONTROLS, " ");
}

/** The same for text of several lines: line feeds and tabs stay. */
export function printableText(text: string): string {
  return text
    .replace(ESCAPES, "")
    .replace(/\r\n/g, "\n")
    .replace(CONTROLS, (character) => (character === "\n" || character === "\t" ? character : " "));
}

/** JSON with those characters escaped; JSON itself escapes only the first control range. */
export function printableJson(json: string): string {
  return json.replace(CONTROLS, (character) =>
    character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
