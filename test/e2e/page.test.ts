import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { post } from "../support/relay.ts";

const executable = ["chromium", "chromium-browser", "google-chrome"].map((name) => Bun.which(name)).find(Boolean);
const SLOW_MS = 60_000;
/** Where pictures of the page are left for whoever wants to look. */
const PICTURES = join(import.meta.dir, "../../dist/page");
const KEY = "the-owners-own-key";

let browser: Browser;
let context: BrowserContext | undefined;
let demo: DemoRelay;

beforeAll(async () => {
  if (!executable) return;
  mkdirSync(PICTURES, { recursive: true });
  browser = await chromium.launch({ executablePath: executable, args: ["--no-sandbox", "--no-proxy-server"] });
}, SLOW_MS);
afterAll(() => browser?.close());
afterEach(async () => {
  await context?.close();
  await demo.stop();
});

/** Opens the page, and fails on anything that the browser complains of. */
async function open(options: BrowserContextOptions = {}): Promise<{ page: Page; complaints: string[] }> {
  context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(demo.relay.url).origin) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(`${demo.relay.url}/`);
  return { page, complaints };
}

const chat = (content: string) =>
  post(
    `${demo.v1}/chat/completions`,
    { model: "gpt-5.5-high", messages: [{ role: "user", content }] },
    { "user-agent": "claude-cli/2.1" },
  ).then((reply) => reply.text());

/** What axe has against the page; its script is let in for that alone. */
async function violations(options: BrowserContextOptions = {}): Promise<string[]> {
  const { page } = await open({ bypassCSP: true, ...options });
  await page.locator("#requests .scroll, #requests .empty").first().waitFor();
  await page.locator("details summary").first().click();
  await page.evaluate(axe.source);
  const found = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run().then((result) => result.violations),
  );
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

describe.skipIf(!executable)("the status page in a real browser", () => {
  test(
    "shows windows with pace, and requests as they end, without a complaint of the browser",
    async () => {
      demo = startDemoRelay();
      await chat("first");
      const { page, complaints } = await open();
      await page.getByRole("meter", { name: "5 hours used", exact: true }).waitFor();
      expect(await page.locator("#plan").innerText()).toContain("At this rate");
      const rows = page.locator("table.requests tbody tr");
      await rows.first().waitFor();
      await chat("second");
      await rows.nth(1).waitFor();
      const text = await rows.first().innerText();
      expect(text).toContain("claude-cli");
      expect(text).toContain("gpt-5.5-high → gpt-5.5");
      await page.screenshot({ path: join(PICTURES, "wide-light.png"), fullPage: true });
      expect(complaints).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "asks a question and shows the answer as it comes, with the same call as curl",
    async () => {
      demo = startDemoRelay({}, { paceMs: 20 });
      const { page, complaints } = await open();
      await page.getByLabel("Question").fill("hello page");
      await page.locator("#try-model").selectOption("gpt-5.5");
      await page.locator("#try-effort").selectOption("low");
      await page.getByRole("button", { name: "Send" }).click();
      const answer = page.locator("#try-answer");
      await page.locator("#try-answer:not(:empty)").waitFor();
      expect(await page.getByRole("button", { name: "Stop" }).count()).toBe(1);
      await page.locator("#try-facts", { hasText: /^First token/ }).waitFor();
      expect(await answer.innerText()).toContain("hello page");
      expect(await page.locator("#try-facts").innerText()).toMatch(/tokens in, \d+ out\.$/);
      await page.getByText("The same as curl").click();
      const curl = await page.locator("#try-curl").innerText();
      expect(curl).toContain(`curl -N ${demo.relay.url}/v1/responses`);
      const run = Bun.spawn(["sh", "-c", curl], { stdout: "pipe", stderr: "ignore" });
      expect(await new Response(run.stdout).text()).toContain("response.completed");
      expect(complaints).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "says what went wrong in plain words, and a stopped answer ends the call",
    async () => {
      demo = startDemoRelay({}, { paceMs: 100 });
      const { page } = await open();
      await page.getByLabel("Question").fill("fault:context_length");
      await page.getByRole("button", { name: "Send" }).click();
      await page.locator("#try-answer.bad").waitFor({ state: "attached" });
      expect(await page.locator("#try-facts").innerText()).toContain("context window");
      await page.getByLabel("Question").fill("a long answer");
      await page.getByRole("button", { name: "Send" }).click();
      await page.locator("#try-answer:not(:empty)").waitFor();
      await page.getByRole("button", { name: "Stop" }).click();
      await page.locator("#try-facts", { hasText: "Stopped." }).waitFor();
      for (let round = 0; round < 400 && demo.backend.openStreams() > 0; round += 1) await Bun.sleep(5);
      expect(demo.backend.openStreams()).toBe(0);
    },
    SLOW_MS,
  );

  test(
    "copies addresses and commands",
    async () => {
      demo = startDemoRelay();
      const { page } = await open({ permissions: ["clipboard-read", "clipboard-write"] });
      await page.getByRole("button", { name: "Copy the base URL for OpenAI clients" }).click();
      expect(await page.evaluate("navigator.clipboard.readText()")).toBe(demo.v1);
      await page.getByRole("button", { name: "Copy the command for Claude Code" }).click();
      expect(await page.evaluate("navigator.clipboard.readText()")).toBe("plansocket setup claude-code");
      expect(await page.locator("#announcer").innerText()).toBe("Copied the command for Claude Code.");
    },
    SLOW_MS,
  );

  test(
    "asks for the key where there is one, refuses a wrong one, and stays open over a reload",
    async () => {
      demo = startDemoRelay({ relay: { apiKey: KEY } });
      const { page } = await open();
      const field = page.getByLabel("API key");
      await field.fill("wrong");
      await page.getByRole("button", { name: "Enter" }).click();
      await page.getByText("This is not the relay's own key.").waitFor();
      expect(await page.locator("#content").isVisible()).toBe(false);
      await page.screenshot({ path: join(PICTURES, "key.png") });
      await field.fill(KEY);
      await page.getByRole("button", { name: "Enter" }).click();
      await page.getByRole("meter", { name: "5 hours used", exact: true }).waitFor();
      await page.reload();
      await page.getByRole("meter", { name: "5 hours used", exact: true }).waitFor();
      const [cookie] = (await context?.cookies(`${demo.relay.url}/page/state`)) ?? [];
      expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/page" });
      expect(await page.evaluate("document.cookie")).toBe("");
    },
    SLOW_MS,
  );

  test(
    "says that the relay is gone, and what to do",
    async () => {
      demo = startDemoRelay();
      const { page } = await open();
      await page.getByRole("meter", { name: "5 hours used", exact: true }).waitFor();
      await demo.relay.stop();
      await page.getByText("The relay does not answer.").first().waitFor();
      expect(await page.locator("#lost").innerText()).toContain("plansocket start");
    },
    SLOW_MS,
  );

  test.each([
    ["wide and light", { viewport: { width: 1200, height: 900 }, colorScheme: "light" }],
    ["wide and dark", { viewport: { width: 1200, height: 900 }, colorScheme: "dark" }],
    ["on a phone", { viewport: { width: 360, height: 740 }, colorScheme: "dark" }],
  ] as const)(
    "axe finds nothing wrong with it, %s",
    async (_, options) => {
      demo = startDemoRelay();
      await chat("hello");
      await chat("fault:usage_limit");
      expect(await violations(options)).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "axe finds nothing wrong with the question for the key and with the empty page",
    async () => {
      demo = startDemoRelay();
      expect(await violations()).toEqual([]);
      await context?.close();
      await demo.stop();
      demo = startDemoRelay({ relay: { apiKey: KEY } });
      const { page } = await open({ bypassCSP: true });
      await page.getByLabel("API key").waitFor();
      await page.evaluate(axe.source);
      const found = await page.evaluate(() =>
        (globalThis as unknown as { axe: typeof axe }).axe
          .run()
          .then((result) => result.violations.map(({ id }) => id)),
      );
      expect(found).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "fits a phone: nothing but tables scrolls sideways, and every control is reached by keyboard",
    async () => {
      demo = startDemoRelay();
      await chat("hello");
      const { page, complaints } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
      await page.locator("table.requests").waitFor();
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      await page.screenshot({ path: join(PICTURES, "phone-dark.png"), fullPage: true });
      const reached = new Set<string>();
      for (let press = 0; press < 80; press += 1) {
        await page.keyboard.press("Tab");
        reached.add(await page.evaluate<string>(`document.activeElement.id || document.activeElement.textContent`));
      }
      for (const id of ["try-model", "try-effort", "try-text", "try-send"]) expect([...reached]).toContain(id);
      expect(complaints).toEqual([]);
    },
    SLOW_MS,
  );
});
