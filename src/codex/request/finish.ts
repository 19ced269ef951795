import type { CodexRequest, InputItem } from "../wire/request.ts";
import { adapt, hostedChoice, type Adaptation } from "./adaptation.ts";
import { acceptableKey, conversationKey } from "./cache-key.ts";
import { isHostedTool, toLite, type Envelope, type LiteRequest } from "./lite.ts";
import { pathText, type Path } from "./path.ts";
import { completeTools } from "./tools/complete.ts";

/** What stands in a tool's place, and the paths inside it of what it lost or had to say differently. */
export interface ToolForm {
  readonly tool: unknown;
  readonly lost: readonly string[];
}

/** How a request is to be sent, beside what its dialect wrote. */
export interface Finish {
  readonly envelope: Envelope;
  /** Tells clients with different keys apart in a derived cache key. */
  readonly clientId: string;
  /** What refusals have taught, in the order in which they came. */
  readonly adaptations?: readonly Adaptation[];
  /** True for reasoning of an earlier turn that the backend could not read. */
  readonly isUnreadable?: (item: InputItem) => boolean;
  /** The form in which the backend takes a tool that it refused before. */
  readonly toolForm?: (tool: unknown) => ToolForm | undefined;
}

/** A request as it goes on the wire. */
export interface FinishedRequest {
  readonly wire: CodexRequest | LiteRequest;
  /** The same before it was packed into its envelope: what refusals are compared with. */
  readonly body: CodexRequest;
  readonly envelope: Envelope;
  /** Names the conversation to the backend's prompt cache. */
  readonly cacheKey: string;
  /** Paths of what is not sent as the dialect wrote it, for `x-plansocket-adjusted`. */
  readonly adjusted: readonly string[];
  /** A place in `wire`, as the backend names it, as a place in `body`. */
  readonly toBodyPath: (path: Path) => Path;
  /** A place in `body` as a place in what the dialect wrote. */
  readonly toWrittenPath: (path: Path) => Path;
}

/**
 * The one place where a request gets what every dialect's requests need: tools that the backend takes, instructions,
 * the conversation's cache key, what refusals have taught, and its envelope. What leaves here is what is sent.
 */
export function finishRequest(written: CodexRequest, finish: Finish): FinishedRequest {
  const adjusted: string[] = [];
  const cacheKey = acceptableKey(written.prompt_cache_key ?? conversationKey(written, finish.clientId));
  let body: CodexRequest = {
    ...written,
    instructions: written.instructions ?? "",
    input: readableItems(written.input, finish, adjusted),
    prompt_cache_key: cacheKey,
    ...(written.tools ? { tools: acceptableTools(written.tools, finish, adjusted) } : {}),
  };
  for (const adaptation of finish.adaptations ?? []) {
    const adapted = adapt(body, adaptation);
    body = adapted.body;
    adjusted.push(...adapted.names);
  }
  // Positions of items that were left out are not theirs any more.
  const origins = body.input.length === written.input.length ? undefined : originsOf(written.input, body.input);
  const toWrittenPath = (path: Path) => at(path, "input", (index) => origins?.[index] ?? index);
  if (finish.envelope === "full") {
    return {
      wire: growingLast(body),
      body,
      envelope: "full",
      cacheKey,
      adjusted,
      toBodyPath: (path) => path,
      toWrittenPath,
    };
  }
  const inLite = withoutHostedTools(body, adjusted);
  const { body: wire, added, changed } = toLite(inLite, cacheKey);
  const hasTools = (inLite.tools ?? []).length > 0;
  const toolOrigins = (body.tools ?? []).flatMap((tool, index) => (isHostedTool(tool) ? [] : [index]));
  return {
    wire: growingLast(wire),
    body: inLite,
    envelope: "lite",
    cacheKey,
    adjusted: [...adjusted, ...changed],
    toBodyPath: (path) => fromLite(path, added, hasTools),
    toWrittenPath: (path) => at(toWrittenPath(path), "tools", (index) => toolOrigins[index] ?? index),
  };
}

/** The conversation behind everything else: a turn's bytes then begin with those of the turn before. */
function growingLast<Body extends { input: InputItem[] }>({
  input,
  ...rest
}: Body): Omit<Body, "input"> & { input: InputItem[] } {
  return { ...rest, input };
}

function readableItems(input: InputItem[], { isUnreadable }: Finish, adjusted: string[]): InputItem[] {
  const readable = isUnreadable ? input.filter((item) => !isUnreadable(item)) : input;
  if (readable.length === input.length) return input;
  adjusted.push("reasoning.encrypted_content");
  return readable;
}

function acceptableTools(tools: readonly unknown[], { toolForm }: Finish, adjusted: string[]): unknown[] {
  return completeTools(tools).map((tool, index) => {
    const form = toolForm?.(tool);
    for (const path of form?.lost ?? []) adjusted.push(`tools[${index}]${path === "" ? "" : `.${path}`}`);
    return form ? form.tool : tool;
  });
}

/** They would do nothing in this envelope, and say nothing about it; so they are named. */
function withoutHostedTools(body: CodexRequest, adjusted: string[]): CodexRequest {
  const { tools, ...rest } = body;
  if (!tools?.some(isHostedTool)) return body;
  tools.forEach((tool, index) => {
    if (isHostedTool(tool)) adjusted.push(pathText(["tools", index]));
  });
  const kept = tools.filter((tool) => !isHostedTool(tool));
  const isChoiceLost = kept.length === 0 || hostedChoice(body) !== undefined;
  return { ...rest, ...(kept.length > 0 ? { tools: kept } : {}), ...(isChoiceLost ? { tool_choice: "auto" } : {}) };
}

/** For each item that is sent, where it stands in what was written: some were left out, and some are changed copies. */
function originsOf(written: readonly InputItem[], sent: readonly InputItem[]): number[] {
  let next = 0;
  return sent.map((item) => {
    const same = written.indexOf(item, next);
    const found = same < 0 ? written.findIndex(({ type }, index) => index >= next && type === item.type) : same;
    next = found < 0 ? next : found + 1;
    return next - 1;
  });
}

/** A path with another position in the list that it names, if that is the one. */
function at([list, index, ...rest]: Path, name: "input" | "tools", place: (index: number) => number): Path {
  if (list !== name || typeof index !== "number") {
    return [list, index, ...rest].filter((key) => key !== undefined);
  }
  return [list, place(index), ...rest];
}

/** Tools and instructions stand in items of their own in this envelope, before the client's. */
function fromLite(path: Path, added: number, hasTools: boolean): Path {
  const [list, index, name, ...rest] = path;
  if (list !== "input" || typeof index !== "number") return path;
  if (hasTools && index === 0) return name === "tools" ? ["tools", ...rest] : ["tools"];
  if (index < added) return ["instructions"];
  return [list, index - added, ...(name === undefined ? [] : [name]), ...rest];
}
