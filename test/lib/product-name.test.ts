import { expect, test } from "bun:test";
import { productName } from "../../src/lib/product-name.ts";

test.each([
  [null, ""],
  ["", ""],
  ["curl/8.5.0", "curl"],
  ["claude-cli/2.1.332 (external, cli)", "claude-cli"],
  ["OpenAI/Python 2.4.0", "OpenAI/Python"],
  ["OpenAI/JS 7.55.0", "OpenAI/JS"],
  ["codex_cli_rs/0.171.0 (Linux 6.1; x86_64) plansocket/0.1.0", "codex_cli_rs"],
  ["Codex Desktop/26.1", "Codex"],
  ["ai-sdk/openai-compatible/3.0.92 runtime/bun", "ai-sdk/openai-compatible"],
  ["node", "node"],
  ["ollama-python/0.6.1 (x86_64 linux) Python/3.11", "ollama-python"],
  ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36", "Chrome"],
  ["Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/156.0 Safari/537.36 Edg/156.0", "Edg"],
  ["Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"],
  ["Mozilla/5.0 of something", "browser"],
  ["<script>alert(1)</script>/1", "scriptalert"],
  ["\u001b[31mred/1.0", "31mred"],
  [`${"x".repeat(500)}/1`, "x".repeat(40)],
])("%s is the product '%s'", (userAgent, name) => {
  expect(productName(userAgent)).toBe(name);
});
