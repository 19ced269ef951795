import { isObject } from "../../lib/json.ts";

/** A place in a body: names of fields and positions in lists. */
export type Path = readonly (string | number)[];

/** `input[3].content[0].detail`, also as `body.input.3.content.0.detail`; undefined for what is no path. */
export function parsePath(text: string): Path | undefined {
  const plain = text.replace(/^\$?\.?(body|request|root)\./, "").replace(/\.(\d+)(?=\.|\[|$)/g, "[$1]");
  if (!/^[A-Za-z_]\w*(\[\d+\]|\.[A-Za-z_$][\w$-]*)*$/.test(plain)) return undefined;
  return [...plain.matchAll(/([A-Za-z_$][\w$-]*)|\[(\d+)\]/g)].map(([, name, place]) => name ?? Number(place));
}

/** The path as text, as in `input[3].content[0].detail`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

/** The value at a place; undefined where there is none. */
export function valueAt(body: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => {
    if (typeof key === "number") return Array.isArray(at) ? (at[key] as unknown) : undefined;
    return isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }, body);
}

/** Places in a message, in the order in which they are likely to be what it is about: quoted, after a colon, then any. */
export function pathsIn(message: string): Path[] {
  const quoted = [...message.matchAll(/['"`]([\w.$[\]-]+)['"`]/g)].map(([, text = ""]) => text);
  const afterColon = [...message.matchAll(/:\s*([\w.$[\]-]+?)[.,;]?(?:\s|$)/g)].map(([, text = ""]) => text);
  // A bare word of prose is no path; one with a joint in it hardly is anything else.
  const jointed = [...message.matchAll(/\b[A-Za-z]\w*(?:[_.[][\w\]$-]+)+/g)].map(([text]) =>
    text.replace(/[.,;]$/, ""),
  );
  return [...quoted, ...afterColon, ...jointed].flatMap((text) => {
    const path = parsePath(text);
    return path === undefined ? [] : [path];
  });
}
