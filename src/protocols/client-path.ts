/** Where the parts of a backend body stand in the client's own request. */
export interface ClientPlaces {
  /** The message that an input item was made from; undefined for an item that was made from none. */
  readonly input: (item: number) => string | undefined;
  /** For each tool, its definition. */
  readonly tools?: readonly string[];
  /** What a tool's schema is called. */
  readonly schema?: string;
  /** Fields by their names in the backend's body. */
  readonly fields?: Readonly<Record<string, string>>;
  /** How a position in a list is written: `[0]`, or `.0`. */
  readonly position?: (index: string) => string;
}

/** Turns a place in a backend body, as in `input[3].content[0]`, into one that the client can find in its request. */
export function clientPathOf(places: ClientPlaces): (path: string) => string {
  const { input, tools = [], schema = "parameters", fields = {}, position = (index) => `[${index}]` } = places;
  const inside = (rest: string) => rest.replace(/\[(\d+)\]/g, (_all, index: string) => position(index));
  return (path) => {
    const [, list, index = "", rest = ""] = /^(input|tools)\[(\d+)\](.*)$/.exec(path) ?? [];
    if (list === "tools") {
      const tool = tools[Number(index)] ?? `tools${position(index)}`;
      return tool + inside(rest.replace(/^\.parameters\b/, `.${schema}`));
    }
    if (list === "input") return inMessage(input(Number(index)) ?? path, rest, inside);
    const field = Object.keys(fields)
      .toSorted((a, b) => b.length - a.length)
      .find((name) => path === name || path.startsWith(`${name}.`));
    return field === undefined ? path : `${fields[field]}${path.slice(field.length)}`;
  };
}

/** What a message says is its content, also where the backend calls it the output of a tool. */
function inMessage(message: string, rest: string, inside: (rest: string) => string): string {
  const [, places] = /^\.(?:content|output)((?:\[\d+\])?)/.exec(rest) ?? [];
  const isMessage = /[.[]/.test(message);
  return places === undefined || !isMessage ? message : `${message}.content${inside(places)}`;
}
