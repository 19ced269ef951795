import type { JsonObject } from "../lib/json.ts";
import { type Conversation, type OfferedTool, readConversation } from "./conversation.ts";
import { exampleFor } from "./example.ts";
import { asObject, asObjects, asText } from "./json.ts";
import { type Output, pieces, sealed } from "./output.ts";
import { callOf, callsFor } from "./tools.ts";
import { readWishes } from "./wishes.ts";

const SIGNATURE = "I am plansocket's built-in stand-in; no real model was asked.";

/** What the stand-in answers: calls of the client's tools, or text that tells what arrived. */
export function answer(body: JsonObject): Output[] {
  const items = asObjects(body["input"]);
  if (items.at(-1)?.["type"] === "compaction_trigger") return [{ kind: "compaction" }];
  const conversation = readConversation(body);
  const calls = isBusy(conversation) ? [] : callsOf(body, conversation);
  const isCitation = calls.some((call) => call.kind === "web_search_call");
  const isHosted = isCitation || calls.some((call) => call.kind === "image_generation_call");
  return [
    ...reasoning(body),
    ...calls,
    ...(calls.length === 0 || isHosted ? [message(body, conversation, isCitation)] : []),
  ];
}

/** `deltas:20000` asks for a long text and nothing else. */
function isBusy(conversation: Conversation): boolean {
  return deltaCount(conversation) !== undefined;
}

function deltaCount(conversation: Conversation): number | undefined {
  const wanted = /\bdeltas:(\d{1,7})\b/.exec(conversation.userText)?.[1];
  return wanted === undefined ? undefined : Number(wanted);
}

function reasoning(body: JsonObject): Output[] {
  const { effort, summary } = asObject(body["reasoning"]);
  const isWanted = Array.isArray(body["include"]) && body["include"].includes("reasoning.encrypted_content");
  if (!isWanted || effort === "none") return [];
  const told = typeof summary === "string" ? { summary: "**Reading the request**\n\nI look at what has arrived." } : {};
  return [{ kind: "reasoning", encrypted: sealed(asText(body["prompt_cache_key"])), ...told }];
}

function callsOf(body: JsonObject, conversation: Conversation): Output[] {
  const choice = body["tool_choice"];
  if (choice === "none") return [];
  const allowed = allowedTools(choice, conversation.tools);
  const narrowed = { ...conversation, tools: allowed };
  const named = namedTool(choice, allowed);
  const drawing = allowed.find((tool) => tool.kind === "image_generation");
  const called = named ?? (drawing && isToldToDraw(body) ? drawing : undefined);
  if (called) return [callOf(called, narrowed)];
  const wish = readWishes(conversation.userText, allowed)[conversation.rounds];
  const calls = wish ? callsFor(wish, narrowed) : [];
  const isForced = choice === "required" || asObject(choice)["mode"] === "required";
  if (calls.length === 0 && isForced && allowed[0]) return [callOf(allowed[0], narrowed)];
  return body["parallel_tool_calls"] === false ? calls.slice(0, 1) : calls;
}

/** Models do what their instructions say of a tool, where no choice may force it. */
function isToldToDraw(body: JsonObject): boolean {
  return /\bcall the image_generation tool\b/i.test(asText(body["instructions"]));
}

function allowedTools(choice: unknown, tools: readonly OfferedTool[]): readonly OfferedTool[] {
  if (asObject(choice)["type"] !== "allowed_tools") return tools;
  const names = asObjects(asObject(choice)["tools"]).map((tool) => asText(tool["name"]) || asText(tool["type"]));
  return tools.filter((tool) => names.includes(tool.name));
}

function namedTool(choice: unknown, tools: readonly OfferedTool[]): OfferedTool | undefined {
  const { type, name } = asObject(choice);
  if (type === undefined || type === "allowed_tools") return undefined;
  return tools.find((tool) => tool.kind === type && (name === undefined || tool.name === name));
}

function message(body: JsonObject, conversation: Conversation, isCitation: boolean): Output {
  const count = deltaCount(conversation);
  if (count !== undefined) return { kind: "message", pieces: manyPieces(count) };
  const text = structuredText(body, conversation.userText) ?? plainAnswer(conversation, isCitation);
  const citation = { url: "https://example.com/stand-in", title: "An example page" };
  return { kind: "message", pieces: pieces(text), ...(isCitation ? { citation } : {}) };
}

function* manyPieces(count: number): Generator<string> {
  for (let n = 0; n < count; n += 1) yield `word${n} `;
}

function structuredText(body: JsonObject, userText: string): string | undefined {
  const format = asObject(asObject(body["text"])["format"]);
  if (format["type"] === "json_object") {
    const keys = wantedKeys(userText);
    const wanted = Object.fromEntries(keys.map((key) => [key, "example"]));
    return JSON.stringify(keys.length > 0 ? wanted : { answer: "example", from: "plansocket stand-in" });
  }
  if (format["type"] !== "json_schema") return undefined;
  return JSON.stringify(exampleFor(format["schema"], { withOptional: true }));
}

/** The keys that the user's words name, as in: with 'question' and 'answer' keys. */
function wantedKeys(text: string): string[] {
  if (!/\b(?:keys?|fields?|properties)\b/i.test(text)) return [];
  return [...text.matchAll(/["'`]([A-Za-z_]\w*)["'`]/g)].map((match) => match[1] ?? "");
}

const SAY =
  /^(?:please\s+)?(?:say|reply|answer|respond)(?:\s+with)?(\s+(?:exactly|only|just))?(?:\s+the\s+words?)?:?\s+["'`]?([^"'`\n]{1,80}?)["'`]?[.!]?$/i;

function plainAnswer(conversation: Conversation, isCitation: boolean): string {
  if (isCitation) return `I found an example page on the web about this. ${SIGNATURE}`;
  if (conversation.outputs.length > 0)
    return `Done. The tool answered: ${conversation.outputs.join("\n")}\n\n${SIGNATURE}`;
  const said = SAY.exec(conversation.userText);
  if (said?.[2] !== undefined) return said[1] === undefined ? `${said[2]}\n\n${SIGNATURE}` : said[2];
  return `Hello! ${SIGNATURE} ${inventory(conversation)} You said: “${shorten(conversation.userText)}”`;
}

function inventory(conversation: Conversation): string {
  const names = conversation.tools.slice(0, 8).map((tool) => tool.name);
  const more = conversation.tools.length > names.length ? ", …" : "";
  const facts = [
    plural(conversation.messageCount, "message"),
    conversation.tools.length > 0
      ? `${plural(conversation.tools.length, "tool")} (${names.join(", ")}${more})`
      : "no tools",
    ...(conversation.imageCount > 0 ? [plural(conversation.imageCount, "image")] : []),
    ...(conversation.fileCount > 0 ? [plural(conversation.fileCount, "file")] : []),
  ];
  return `I received ${facts.join(", ")} for ${conversation.model} at ${conversation.effort ?? "default"} effort.`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function shorten(text: string): string {
  const head = /^[\s\S]{0,200}/u.exec(text)?.[0] ?? "";
  return head.length < text.length ? `${head}…` : text;
}
