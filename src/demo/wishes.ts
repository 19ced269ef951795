import type { OfferedTool } from "./conversation.ts";

/** Something that the user asks to be done with a tool. */
export type Wish =
  | { kind: "write"; path: string; content: string }
  | { kind: "read"; path: string }
  | { kind: "run"; command: string }
  | { kind: "search"; query: string }
  | { kind: "image"; prompt: string }
  /** Named tools; more than one only when they are wanted at the same time. */
  | { kind: "tools"; tools: OfferedTool[] };

const QUOTED = "[`\"'“”]";
const PATH = `(?:the )?(?:file )?(?:called |named |at )?${QUOTED}?([\\w./~\\\\-]*[\\w-]\\.?[\\w-]*)${QUOTED}?`;

const WRITE = new RegExp(
  `\\b(?:write|put|save|store)\\s+(?:the )?(?:exact )?(?:text |word |words |line |string |content )?` +
    `(?:${QUOTED}([^\`"'“”]+)${QUOTED}|(.+?))\\s+(?:in)?to\\s+(?:a )?(?:new )?${PATH}`,
  "i",
);
const CREATE = new RegExp(
  `\\b(?:create|make|add|write)\\s+(?:a |the )?(?:new )?(?:text )?file\\s+(?:called |named |at )?${PATH}\\s*,?\\s*` +
    `(?:(?:with|containing|that contains|holding)\\s+(?:exactly\\s+)?(?:the\\s+)?(?:text|content|contents|line|word)?:?\\s*)` +
    `(?:${QUOTED}([^\`"'“”]+)${QUOTED}|(\\S.*?))(?:[.,;]?(?:$|\\s*\\n)|[.,;] | (?:and|then)\\b)`,
  "i",
);
const READ_BACK =
  /\bread (?:it|that|the file|the content|its content\w*) back\b|\bthen (?:read|show|cat|print) (?:it|the file)\b/i;
const READ = new RegExp(
  `\\b(?:read|cat|show me|display|open)\\s+(?:the )?(?:contents? of )?(?:the )?(?:file\\s+${PATH}|${QUOTED}?([\\w./~-]+\\.\\w+)${QUOTED}?)`,
  "i",
);
const RUN = new RegExp(
  `\\b(?:run|execute)\\s+(?:the )?(?:shell |bash )?(?:command\\s*:?\\s+)?(?:${QUOTED}([^\`"“”]+?)${QUOTED}(?=$|[\\s.,;]))`,
  "i",
);
const RUN_BARE = /\b(?:run|execute)\s+(?:the )?(?:shell |bash )?command\s*:?\s+([^\n`"]+)/i;
const SEARCH =
  /\b(?:search|google|browse|look up)\b[^\n]*?\b(?:web|internet|online|for)\b|\bsearch\b|\blook up\b|\blatest news\b/i;
const IMAGE = /\b(?:draw|generate|create|make|paint)\b[^\n.]*\b(?:image|picture|drawing|photo|logo|icon)\b/i;
const TOGETHER = /\b(?:in parallel|both|at once|at the same time|simultaneously|together)\b/i;

/** What the user's words ask for, in order. Plain patterns: a stand-in need not understand more than a test says. */
export function readWishes(text: string, tools: readonly OfferedTool[]): Wish[] {
  const wishes: Wish[] = [];
  const written = findWrite(text);
  if (written) {
    wishes.push(written);
    if (READ_BACK.test(text)) wishes.push({ kind: "read", path: written.path });
  } else {
    const read = READ.exec(text);
    const path = read?.[1] ?? read?.[2];
    if (path !== undefined) wishes.push({ kind: "read", path });
  }
  const run = RUN.exec(text)?.[1] ?? RUN_BARE.exec(text)?.[1]?.trim();
  if (run !== undefined) wishes.push({ kind: "run", command: run });
  const named = namedTools(text, tools);
  if (wishes.length === 0) wishes.push(...namedWishes(named, text));
  const has = (kind: string) => tools.some((tool) => tool.kind === kind);
  if (wishes.length === 0 && has("web_search") && SEARCH.test(text)) wishes.push({ kind: "search", query: text });
  if (wishes.length === 0 && has("image_generation") && IMAGE.test(text)) wishes.push({ kind: "image", prompt: text });
  if (wishes.length > 0) return wishes;
  const hinted = hintedTool(text, tools);
  return hinted ? [{ kind: "tools", tools: [hinted] }] : [];
}

function findWrite(text: string): Extract<Wish, { kind: "write" }> | undefined {
  const created = CREATE.exec(text);
  if (created?.[1] !== undefined) {
    return { kind: "write", path: trimPath(created[1]), content: (created[2] ?? created[3] ?? "").trim() };
  }
  const written = WRITE.exec(text);
  if (written?.[3] === undefined) return undefined;
  // "Write a poem to my sister" names no file.
  if (!/[./\\]/.test(trimPath(written[3])) && !/\bfile\b/i.test(text)) return undefined;
  return { kind: "write", path: trimPath(written[3]), content: (written[1] ?? written[2] ?? "").trim() };
}

/** A full stop at the end belongs to the sentence. */
function trimPath(path: string): string {
  return path.replace(/\.$/, "");
}

function namedWishes(named: readonly OfferedTool[], text: string): Wish[] {
  if (named.length === 0) return [];
  if (TOGETHER.test(text)) return [{ kind: "tools", tools: [...named] }];
  return named.map((tool) => ({ kind: "tools", tools: [tool] }));
}

/** Tools whose names stand in the text, in the order in which they stand there. */
function namedTools(text: string, tools: readonly OfferedTool[]): OfferedTool[] {
  const found = tools
    .filter((tool) => tool.kind === "function" || tool.kind === "custom")
    .map((tool) => ({ tool, at: placeOfName(text, tool) }))
    .filter(({ at }) => at >= 0);
  return found.toSorted((left, right) => left.at - right.at).map(({ tool }) => tool);
}

function placeOfName(text: string, tool: OfferedTool): number {
  const name = tool.name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // `get_weather` names a tool wherever it stands; `read` or `task` are words of every other sentence.
  const isDistinct = /[_\d-]|[a-z][A-Z]/.test(tool.name);
  const pattern = isDistinct
    ? `(?<![\\w-])${name}(?![\\w-])`
    : `\\b(?:use|using|call|invoke|with)\\s+(?:the\\s+|your\\s+)?${QUOTED}?${name}\\b|\\b${name}${QUOTED}?\\s+(?:tool|function)\\b|\`${name}\``;
  return text.search(new RegExp(pattern, "i"));
}

/** Words that stand in many names and in many sentences, and so connect nothing. */
const COMMON = new Set(
  (
    "tool file call this that with from text code user data item write read edit bash shell task exec glob grep list " +
    "view create search find make open save update delete send show fetch todo plan agent command message"
  ).split(" "),
);
const ASKS_FOR_A_TOOL = /\b(?:use|call|invoke|using)\s+(?:a|the|your|one of (?:the|your))?\s*(?:tools?|functions?)\b/i;

/** With few tools, a telling word of a name is enough: "What is the weather in Rome?" means `get_weather`. */
function hintedTool(text: string, tools: readonly OfferedTool[]): OfferedTool | undefined {
  const own = tools.filter((tool) => tool.kind === "function" || tool.kind === "custom");
  if (ASKS_FOR_A_TOOL.test(text)) return own[0];
  if (own.length > 6) return undefined;
  const words = new Set(text.toLowerCase().match(/[a-z]{4,}/g) ?? []);
  return own.find((tool) =>
    tool.name
      .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
      .toLowerCase()
      .split(/[^a-z]+/)
      .some((word) => word.length >= 4 && !COMMON.has(word) && words.has(word)),
  );
}
