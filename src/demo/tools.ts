import { isObject, type JsonObject, parseJson } from "../lib/json.ts";
import type { Conversation, OfferedTool } from "./conversation.ts";
import { exampleFor } from "./example.ts";
import { asList, asObject, asText } from "./json.ts";
import type { Output } from "./output.ts";
import type { Wish } from "./wishes.ts";

const PATH_KEY = /^(abs(olute)?_?)?(target_?)?(file_?path|path|file_?name|file|target_?file|notebook_?path)$/i;
const CONTENT_KEY = /^(contents?|text|file_?text|code_?edit|new_?content|data|body|new_?str(ing)?|file_?content)$/i;
const COMMAND_KEY = /^(cmd|command|commands|script|shell_?command|command_?line)$/i;
const WRITES = /write|create|save|edit|replace|file/i;
const READS = /read|view|cat|open|get/i;
const NOT_FOR_FILES = /search|list|glob|grep|delete|remove|todo|memory|image|stdin|notebook|plan|web|fetch/i;
const SHELLS = /shell|bash|exec|terminal|command|run|powershell|process/i;
const NOT_A_SHELL = /stdin|kill|output|wait|status|list|agent|task|read/i;

/** The calls that fulfil a wish with the tools at hand; none when there is no tool for it. */
export function callsFor(wish: Wish, conversation: Conversation): Output[] {
  switch (wish.kind) {
    case "write":
      return first(writeCall(wish.path, wish.content, conversation));
    case "read":
      return first(readCall(wish.path, conversation) ?? shellCall(`cat ${quote(wish.path)}`, conversation));
    case "run":
      return first(shellCall(wish.command, conversation));
    case "search":
      return [{ kind: "web_search_call", query: wish.query.slice(0, 200) }];
    case "image":
      return [{ kind: "image_generation_call", prompt: wish.prompt, base64: TINY_PNG }];
    default:
      return wish.tools.map((tool) => callOf(tool, conversation));
  }
}

/** One red dot. */
export const TINY_PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

function first(call: Output | undefined): Output[] {
  return call ? [call] : [];
}

/** A call whose arguments satisfy the tool's schema, with values from the user's words where they fit. */
export function callOf(tool: OfferedTool, conversation: Conversation): Output {
  if (tool.kind === "local_shell") return { kind: "local_shell_call", command: ["echo", "hello"] };
  if (tool.kind === "web_search") return { kind: "web_search_call", query: conversation.userText.slice(0, 200) };
  if (tool.kind === "image_generation") {
    return { kind: "image_generation_call", prompt: conversation.userText, base64: TINY_PNG, options: tool.options };
  }
  if (tool.kind === "custom") return customCall(tool, inputFor(tool, conversation));
  const given = givenArguments(conversation.userText);
  return functionCall(tool, given ?? guessArguments(tool, conversation.userText));
}

function functionCall(tool: OfferedTool, values: JsonObject): Output {
  const filled = { ...asObject(exampleFor(tool.parameters)), ...values };
  return { kind: "function_call", name: tool.name, namespace: tool.namespace, arguments: JSON.stringify(filled) };
}

function customCall(tool: OfferedTool, input: string): Output {
  return { kind: "custom_tool_call", name: tool.name, namespace: tool.namespace, input };
}

function inputFor(tool: OfferedTool, conversation: Conversation): string {
  if (tool.name === "apply_patch") return addFilePatch("stand-in.txt", "Hello from the stand-in.");
  if (isCodeMode(tool)) return codeFor("echo hello");
  return conversation.userText;
}

/** Arguments that the user wrote out as JSON. */
function givenArguments(text: string): JsonObject | undefined {
  const written = /\{[\s\S]*\}/.exec(text)?.[0];
  const parsed = written === undefined ? undefined : parseJson(written);
  return isObject(parsed) ? parsed : undefined;
}

function guessArguments(tool: OfferedTool, text: string): JsonObject {
  const values: JsonObject = {};
  const required = asList(tool.parameters["required"]).map(String);
  const numbers = [...text.matchAll(/-?\d+(?:\.\d+)?/g)].map(Number);
  for (const [name, schema] of Object.entries(asObject(tool.parameters["properties"]))) {
    if (!required.includes(name) || !isObject(schema) || schema["enum"] !== undefined) continue;
    const isFree = ["pattern", "format", "minLength", "maxLength", "const"].every((key) => schema[key] === undefined);
    if (schema["type"] === "string" && isFree) {
      const place = /\b(?:in|for|at)\s+([A-Z][\p{L}-]+(?: [A-Z][\p{L}-]+)*)/u.exec(text)?.[1];
      if (/city|location|place|town|where/i.test(name) && place !== undefined) values[name] = place;
      else if (/^(q|query|question|prompt|input|expression)$/i.test(name)) values[name] = text.slice(0, 200);
      const called = /\b(?:named|called)\s+["'“”]([^"'“”]+)["'“”]/.exec(text)?.[1];
      if (/name$/i.test(name) && called !== undefined) values[name] = called;
    }
    if (schema["type"] !== "number" && schema["type"] !== "integer") continue;
    const number = numbers.shift();
    if (number !== undefined && fits(number, schema)) values[name] = number;
  }
  return values;
}

/** Whether a schema of a number takes this one. */
function fits(number: number, schema: JsonObject): boolean {
  const bound = (key: string) => (typeof schema[key] === "number" ? schema[key] : undefined);
  const isWhole = schema["type"] === "number" || Number.isInteger(number);
  const isHighEnough = number >= (bound("minimum") ?? number) && number > (bound("exclusiveMinimum") ?? -Infinity);
  const isLowEnough = number <= (bound("maximum") ?? number) && number < (bound("exclusiveMaximum") ?? Infinity);
  const step = bound("multipleOf");
  return isWhole && isHighEnough && isLowEnough && (step === undefined || number % step === 0);
}

interface FileTool {
  readonly tool: OfferedTool;
  readonly path: string;
  readonly content: string;
}

function writeCall(path: string, content: string, conversation: Conversation): Output | undefined {
  const fileTool = findFileTool(conversation.tools);
  if (fileTool) {
    const { tool } = fileTool;
    return functionCall(tool, {
      ...commandArgument(tool, ["create", "write"]),
      [fileTool.path]: placed(path, tool, fileTool.path, conversation),
      [fileTool.content]: content,
    });
  }
  const folder = path.includes("/") ? `mkdir -p ${quote(path.replace(/\/[^/]*$/, "") || "/")} && ` : "";
  const shell = shellCall(`${folder}printf '%s' ${quote(content)} > ${quote(path)}`, conversation);
  return shell ?? patchCall(path, content, conversation.tools);
}

/** A tool that takes a path and a whole content, those named after writing first. */
function findFileTool(tools: readonly OfferedTool[]): FileTool | undefined {
  const fitting = tools.flatMap((tool) => {
    if (tool.kind !== "function" || !WRITES.test(tool.name) || NOT_FOR_FILES.test(tool.name)) return [];
    const names = Object.keys(asObject(tool.parameters["properties"]));
    const path = names.find((name) => PATH_KEY.test(name));
    const content = names.find((name) => CONTENT_KEY.test(name));
    // An editor that wants the old text cannot make a file.
    const wantsOld = asList(tool.parameters["required"]).some((name) => /^old/i.test(String(name)));
    return path === undefined || content === undefined || wantsOld ? [] : [{ tool, path, content }];
  });
  return fitting.find(({ tool }) => /write|create|save/i.test(tool.name)) ?? fitting[0];
}

/** Editors with several commands (`view`, `create`, …) say so in an enum. */
function commandArgument(tool: OfferedTool, commands: readonly string[]): JsonObject {
  for (const [name, schema] of Object.entries(asObject(tool.parameters["properties"]))) {
    const command = commands.find((candidate) => asList(asObject(schema)["enum"]).includes(candidate));
    if (command !== undefined) return { [name]: command };
  }
  return {};
}

/** The path as this tool wants it: absolute where its words demand that and the working directory is known. */
function placed(path: string, tool: OfferedTool, key: string, conversation: Conversation): string {
  if (/^([/~]|[A-Za-z]:\\)/.test(path) || conversation.directory === undefined) return path;
  const schema = asObject(asObject(tool.parameters["properties"])[key]);
  const wantsAbsolute = /absolute/i.test(`${key} ${asText(schema["description"])} ${tool.description}`);
  return wantsAbsolute ? `${conversation.directory.replace(/\/$/, "")}/${path}` : path;
}

function readCall(path: string, conversation: Conversation): Output | undefined {
  for (const tool of conversation.tools) {
    if (tool.kind !== "function" || NOT_FOR_FILES.test(tool.name) || !isReader(tool)) continue;
    const key = Object.keys(asObject(tool.parameters["properties"])).find((name) => PATH_KEY.test(name));
    if (key === undefined) continue;
    const value = placed(path, tool, key, conversation);
    return functionCall(tool, { ...commandArgument(tool, VIEW), [key]: value });
  }
  return undefined;
}

const VIEW = ["view", "read"];

function isReader(tool: OfferedTool): boolean {
  const isViewer = Object.keys(commandArgument(tool, VIEW)).length > 0;
  return isViewer || (READS.test(tool.name) && !WRITES.test(tool.name.replace(/file/i, "")));
}

function shellCall(command: string, conversation: Conversation): Output | undefined {
  for (const tool of conversation.tools) {
    if (tool.kind === "local_shell") return { kind: "local_shell_call", command: ["bash", "-lc", command] };
    if (tool.kind === "custom" && isCodeMode(tool)) return customCall(tool, codeFor(command));
    if (tool.kind !== "function" || !SHELLS.test(tool.name) || NOT_A_SHELL.test(tool.name)) continue;
    const properties = asObject(tool.parameters["properties"]);
    const key = Object.keys(properties).find((name) => COMMAND_KEY.test(name));
    if (key === undefined) continue;
    const takesList = asObject(properties[key])["type"] === "array";
    return functionCall(tool, {
      ...("description" in properties ? { description: "Does what the user asked for" } : {}),
      [key]: takesList ? ["bash", "-lc", command] : command,
    });
  }
  return undefined;
}

/** The Codex CLI's code mode: one custom tool whose input is JavaScript that calls the other tools. */
function isCodeMode(tool: OfferedTool): boolean {
  return tool.name === "exec" && /javascript/i.test(tool.description);
}

function codeFor(command: string): string {
  return `const result = await tools.exec_command({ cmd: ${JSON.stringify(command)} });\ntext(result.output ?? result);`;
}

function patchCall(path: string, content: string, tools: readonly OfferedTool[]): Output | undefined {
  const tool = tools.find((candidate) => candidate.name === "apply_patch");
  if (!tool) return undefined;
  const patch = addFilePatch(path, content);
  if (tool.kind === "custom") return customCall(tool, patch);
  const key = Object.keys(asObject(tool.parameters["properties"])).find((name) => /patch|input|diff/i.test(name));
  return key === undefined ? undefined : functionCall(tool, { [key]: patch });
}

function addFilePatch(path: string, content: string): string {
  const lines = content.split("\n").map((line) => `+${line}`);
  return ["*** Begin Patch", `*** Add File: ${path}`, ...lines, "*** End Patch"].join("\n");
}

function quote(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
