import { isObject } from "../../src/lib/json.ts";

/** Numbers in [0, 1) from a seed, so that a failure can be repeated (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Text that JSON.stringify would never write: put into a body behind its back. */
class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const nested = (depth: number, open: string, close: string) => new Raw(open.repeat(depth) + close.repeat(depth));

/** Values that programs trip over, valid JSON or nearly. */
const HOSTILE: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 1.5,
  () => "",
  () => " ",
  () => "x".repeat(70_000),
  () => [],
  () => {
    return {};
  },
  () => [[]],
  () => [null],
  () => {
    return { type: "function" };
  },
  () => new Raw("1e400"),
  () => new Raw("-0"),
  () => new Raw("9007199254740993"),
  () => new Raw("NaN"),
  () => new Raw('"\\ud800"'),
  () => new Raw('"\\u0000\\r\\n\\u001b[2J"'),
  () => new Raw('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  () => new Raw('{"type":"text","type":"image_url","text":"a","text":null}'),
  () => nested(3000, "[", "]"),
  () => new Raw(`${'{"a":'.repeat(3000)}1${"}".repeat(3000)}`),
  () => Array.from({ length: 3000 }, () => null),
  () => "data:image/png;base64,!!!",
  () => "https://127.0.0.1:1/x.png",
  () => "../../../etc/passwd",
  () => "gpt-5.5-high-high-fast",
];

type Path = readonly (string | number)[];

function pathsOf(value: unknown, at: Path = []): Path[] {
  if (Array.isArray(value)) return [at, ...value.flatMap((entry, index) => pathsOf(entry, [...at, index]))];
  if (isObject(value)) return [at, ...Object.entries(value).flatMap(([key, entry]) => pathsOf(entry, [...at, key]))];
  return [at];
}

/** `body` with up to three places spoiled, as the text that goes over the wire. */
export function mutated(body: unknown, random: () => number): string {
  const pick = <Value>(list: readonly Value[]): Value => list[Math.floor(random() * list.length)] as Value;
  let spoiled: unknown = structuredClone(body);
  const raws: Raw[] = [];
  const hostile = () => {
    const value = pick(HOSTILE)();
    if (!(value instanceof Raw)) return value;
    raws.push(value);
    return `@raw${raws.length - 1}@`;
  };
  for (let times = 1 + Math.floor(random() * 3); times > 0; times -= 1) {
    spoiled = spoil(spoiled, pick(pathsOf(spoiled)), hostile, pick);
  }
  return JSON.stringify(spoiled ?? null).replace(/"@raw(\d+)@"/g, (_text, index) => raws[Number(index)]?.text ?? "0");
}

function spoil(
  root: unknown,
  path: Path,
  hostile: () => unknown,
  pick: <Value>(list: readonly Value[]) => Value,
): unknown {
  const last = path.at(-1);
  if (last === undefined) return pick<() => unknown>([() => root, hostile])();
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], root);
  const holder = parent as Record<string | number, unknown>;
  pick<() => unknown>([
    () => (holder[last] = hostile()),
    () => (holder[last] = hostile()),
    () => (holder[last] = [holder[last]]),
    () => (holder[last] = { value: holder[last] }),
    () => (holder[last] = typeof holder[last] === "string" ? 7 : JSON.stringify(holder[last])),
    () => Reflect.deleteProperty(holder, last),
    () => (Array.isArray(parent) ? parent.push(parent[0]) : (holder[pick(EXTRA_KEYS)] = hostile())),
  ])();
  return root;
}

/** Keys that a client may well send, in places where they do not belong. */
const EXTRA_KEYS: readonly string[] = [
  "__proto__",
  "constructor",
  "toString",
  "type",
  "content",
  "tools",
  "tool_choice",
  "stream",
  "stop",
  "n",
  "reasoning",
  "response_format",
  "text",
  "input",
  "previous_response_id",
  "store",
  "",
  "ключ",
];
