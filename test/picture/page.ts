/**
 * `bun test/picture/page.ts` makes README's picture, .github/page.png: the status page of a real `plansocket demo`, after
 * some programs have asked it something. Needs Chromium.
 */
import { join } from "node:path";
import { chromium } from "playwright-core";

const root = join(import.meta.dir, "../..");
const SIZE = { width: 1120, height: 760 };

const executablePath = ["chromium", "chromium-browser", "google-chrome"].map((name) => Bun.which(name)).find(Boolean);
if (!executablePath) throw new Error("There is no Chromium on PATH.");

const child = Bun.spawn([process.execPath, join(root, "src/main.ts"), "demo", "--port", "0"], {
  stdout: "ignore",
  stderr: "pipe",
});
try {
  const base = await addressIn(child.stderr);
  await askSome(base);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: SIZE, deviceScaleFactor: 1, colorScheme: "light" });
  await page.goto(base);
  await page.locator("table.requests").waitFor();
  await page.locator("#usage-days").selectOption("1");
  await page.locator("#usage .plot").waitFor();
  await page.screenshot({ path: join(root, ".github/page.png") });
  await browser.close();
} finally {
  child.kill();
  await child.exited;
}

async function addressIn(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of stream) {
    text += new TextDecoder().decode(part);
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0];
    if (found !== undefined && text.includes("page ")) return found;
  }
  throw new Error(`The demo did not say where it listens:\n${text}`);
}

async function askSome(base: string): Promise<void> {
  const ask = async (path: string, userAgent: string, body: object) => {
    const headers = { "content-type": "application/json", "user-agent": userAgent };
    const reply = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
    await reply.text();
  };
  const said = (content: string) => [{ role: "user", content }];
  const claude = { model: "claude-sonnet-4-5", max_tokens: 1000, stream: true };
  await ask("/v1/messages", "claude-cli/2.1.332 (external, cli)", { ...claude, messages: said("Read the readme") });
  await ask("/v1/chat/completions", "opencode/1.18.33", { model: "gpt-6.2-sol-high", messages: said("Fix the test") });
  await ask("/v1/responses", "OpenAI/Python 2.4.0", { model: "gpt-5.5", temperature: 0.2, input: "Summarize this" });
  await ask("/api/chat", "ollama-python/0.6.1", { model: "gpt-6-luna", messages: said("Hello"), stream: false });
  await ask("/v1/chat/completions", "opencode/1.18.33", { model: "gpt-6.2-sol", messages: said("fault:overload") });
}
