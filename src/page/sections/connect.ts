import type { PageState } from "../contract.ts";
import { codeLine, el } from "../dom.ts";

/** Programs that `plansocket setup` knows. A test holds this list against the command's. */
const CLIENTS: readonly (readonly [name: string, title: string])[] = [
  ["claude-code", "Claude Code"],
  ["codex", "Codex CLI"],
  ["opencode", "opencode"],
  ["cline", "Cline"],
  ["aider", "aider"],
  ["continue", "Continue"],
  ["pi", "pi"],
  ["qwen-code", "Qwen Code"],
  ["vscode", "VS Code"],
  ["zed", "Zed"],
  ["cursor", "Cursor"],
  ["claude-desktop", "Claude Desktop"],
  ["droid", "Droid"],
  ["kilo", "Kilo Code"],
  ["hermes", "Hermes"],
  ["open-webui", "Open WebUI"],
  ["openclaw", "OpenClaw"],
  ["hal", "HAL"],
  ["shelley", "Shelley"],
  ["env", "Anything else"],
];

/** Addresses and the command for each client. */
export function connectSection({ isKeyRequired }: PageState, base: string): readonly Node[] {
  const key = isKeyRequired ? "the relay's key" : "any text";
  return [
    el(
      "dl",
      { class: "addresses" },
      el("dt", {}, "OpenAI"),
      el("dd", {}, codeLine(`${base}/v1`, "the base URL for OpenAI clients")),
      el("dt", {}, "Anthropic"),
      el("dd", {}, codeLine(base, "the base URL for Anthropic clients")),
      el("dt", {}, "Ollama"),
      el("dd", {}, codeLine(base, "the host for Ollama clients")),
      el("dt", {}, "API key"),
      el("dd", {}, key),
    ),
    el("h3", {}, "Set up a program"),
    el("ul", { class: "tiles" }, ...CLIENTS.map(([name, title]) => tile(name, title))),
  ];
}

function tile(name: string, title: string): HTMLElement {
  return el("li", {}, el("strong", {}, title), codeLine(`plansocket setup ${name}`, `the command for ${title}`));
}
