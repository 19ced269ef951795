/** Where and why a text is not JSON; line and column count from 1. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  /** As in `expected a comma or }`. */
  readonly reason: string;
}

/** One token of JSON (RFC 8259) with the white space before it. */
const TOKEN =
  // eslint-disable-next-line no-control-regex -- text must not hold control characters (RFC 8259, 7)
  /[ \t\n\r]*(?:(?<mark>[{}[\],:])|(?<text>"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?<value>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w))|(?<end>$))/y;
const BLANK = /[ \t\n\r]*/y;

/** What may come next. */
type Expected = "value" | "value or ]" | "key or }" | "key" | "colon" | "comma or }" | "comma or ]" | "end";

const REASONS: Readonly<Record<Expected, string>> = {
  value: "expected a value",
  "value or ]": "expected a value or ]",
  "key or }": 'expected a key in "double quotes" or }',
  key: 'expected a key in "double quotes"',
  colon: "expected a colon after the key",
  "comma or }": "expected a comma or }",
  "comma or ]": "expected a comma or ]",
  end: "expected nothing more after the end",
};

/** The first fault of a text that `JSON.parse` refuses, for people; JavaScriptCore's own error has no position. */
export function jsonFault(text: string): JsonFault {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  for (let at = 0; ;) {
    TOKEN.lastIndex = at;
    const { mark, text: string, value, end } = TOKEN.exec(text)?.groups ?? {};
    const next = after(
      expected,
      open,
      mark ?? (string === undefined ? (value === undefined ? "" : "value") : "string"),
    );
    if (next === undefined || end !== undefined) return faultAt(text, startOfToken(text, at), REASONS[expected]);
    at = TOKEN.lastIndex;
    expected = next;
  }
}

/** What may follow `token` where `expected` was; undefined when it is not what was expected. Keeps `open` up to date. */
function after(expected: Expected, open: ("{" | "[")[], token: string): Expected | undefined {
  const closed = (): Expected => {
    const last = open.at(-1);
    return last === undefined ? "end" : last === "{" ? "comma or }" : "comma or ]";
  };
  const isClosing = (token === "}" && expected.endsWith("}")) || (token === "]" && expected.endsWith("]"));
  if (isClosing) {
    open.pop();
    return closed();
  }
  if (token === "," && expected.startsWith("comma")) return open.at(-1) === "{" ? "key" : "value";
  if (token === ":" && expected === "colon") return "value";
  if (expected.startsWith("key")) return token === "string" ? "colon" : undefined;
  if (!expected.startsWith("value")) return undefined;
  if (token === "string" || token === "value") return closed();
  if (token !== "{" && token !== "[") return undefined;
  open.push(token);
  return token === "{" ? "key or }" : "value or ]";
}

function startOfToken(text: string, at: number): number {
  BLANK.lastIndex = at;
  BLANK.exec(text);
  return BLANK.lastIndex;
}

function faultAt(text: string, offset: number, reason: string): JsonFault {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1, reason };
}
