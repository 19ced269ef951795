import type { ClientSetup, Target } from "../client.ts";

/** Clients that keep their settings where no program should write: their owner is told what to enter. */
function byHand(
  title: string,
  command: string | undefined,
  instructions: (target: Target) => readonly string[],
): ClientSetup {
  return {
    title,
    ...(command === undefined ? {} : { command }),
    plan: (target) => ({ files: [], instructions: instructions(target).join("\n"), next: [] }),
  };
}

export const claudeDesktop = byHand("Claude Desktop", undefined, ({ origin, key }) => [
  "In Claude Desktop: Help › Troubleshooting › Enable Developer Mode, then Developer › Configure Third-Party Inference:",
  "",
  "  Inference provider   Gateway",
  `  Gateway base URL     ${origin}`,
  `  Gateway API key      ${key}`,
  "  Gateway auth scheme  bearer",
  "",
  "Its model names work as they are; `plansocket serve --claude-models opus=MODEL` chooses what they stand for.",
]);

export const cursor = byHand("Cursor", "cursor", ({ v1, key, model }) => [
  "Cursor's own servers call the address, so it must be reachable from the internet, over https and with a key.",
  "In Cursor: Settings › Models › API Keys:",
  "",
  `  OpenAI API Key             ${key}`,
  `  Override OpenAI Base URL   ${v1} (as your tunnel names it)`,
  `  Add model                  ${model}`,
]);
