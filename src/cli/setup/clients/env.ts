import { basename } from "node:path";
import { RelayError } from "../../../lib/errors.ts";
import { didYouMean } from "../../../lib/nearest.ts";
import type { ClientSetup, Target } from "../client.ts";

const SHELLS: Readonly<Record<string, (name: string, value: string) => string>> = {
  bash: (name, value) => `export ${name}=${quoted(value)}`,
  zsh: (name, value) => `export ${name}=${quoted(value)}`,
  fish: (name, value) => `set -gx ${name} '${value.replace(/[\\']/g, "\\$&")}'`,
  powershell: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
};

/** Prints what a shell can take in at once, as in `eval "$(plansocket setup env)"`. */
export const env: ClientSetup = {
  title: "environment variables",
  usesModels: false,
  plan(target) {
    const shell = target.shell ?? usualShell(target);
    const write = SHELLS[shell];
    if (!write) {
      throw new RelayError("usage", `Unknown shell '${shell.slice(0, 40)}'.`, {
        hint: `${didYouMean(shell, Object.keys(SHELLS), "")} Shells: ${Object.keys(SHELLS).join(", ")}.`.trim(),
      });
    }
    const lines = Object.entries(clientVariables(target)).map(([name, value]) => write(name, value));
    return { files: [], instructions: lines.join("\n"), next: [] };
  },
};

/** The variables by which SDKs and tools of the three families find their server. */
export function clientVariables({ origin, v1, key }: Pick<Target, "origin" | "v1" | "key">): Record<string, string> {
  return {
    OPENAI_BASE_URL: v1,
    // The older name, which aider, LangChain and LiteLLM read.
    OPENAI_API_BASE: v1,
    OPENAI_API_KEY: key,
    ANTHROPIC_BASE_URL: origin,
    ANTHROPIC_AUTH_TOKEN: key,
    OLLAMA_HOST: origin,
    OLLAMA_API_KEY: key,
  };
}

function usualShell({ env }: Target): string {
  const name = basename(env["SHELL"] ?? "");
  if (name in SHELLS) return name;
  return process.platform === "win32" ? "powershell" : "bash";
}

function quoted(value: string): string {
  return /^[\w./:@%+-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
