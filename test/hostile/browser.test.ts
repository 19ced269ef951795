import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { report } from "./report.ts";

const chromium = ["chromium", "chromium-browser", "google-chrome"].map((name) => Bun.which(name)).find(Boolean);
const SLOW_MS = 90_000;

/**
 * What a hostile page can try without anybody's consent: every way in which a browser sends something across origins.
 * It reports what it could read, by name; what it could make happen shows at the backend.
 */
const ATTACK = `
const target = new URL(location).searchParams.get("target");
const body = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "spend" }] });
const readable = [];
let tried = 0;
const chat = target + "/v1/chat/completions";
const tryRead = async (name, url, init) => {
  tried += 1;
  try {
    const reply = await fetch(url, init);
    const text = await reply.text();
    if (text !== "") readable.push(name + ": " + reply.status);
  } catch {}
};
const form = (action, type, method) => new Promise((resolve) => {
  tried += 1;
  const frame = Object.assign(document.createElement("iframe"), { name: "f" + Math.random() });
  document.body.append(frame);
  const element = Object.assign(document.createElement("form"), { action, method, enctype: type, target: frame.name });
  element.append(Object.assign(document.createElement("input"), { name: body.slice(0, -1) + ',"x":"', value: '"}' }));
  document.body.append(element);
  frame.onload = () => resolve();
  element.submit();
  setTimeout(resolve, 3000);
});
const element = (tag, attribute, url) => new Promise((resolve) => {
  tried += 1;
  const made = document.createElement(tag);
  made.onload = made.onerror = resolve;
  made[attribute] = url;
  document.body.append(made);
  setTimeout(resolve, 3000);
});
const socket = (url) => new Promise((resolve) => {
  tried += 1;
  const made = new WebSocket(url);
  made.onopen = () => { readable.push("websocket"); made.send('{"type":"response.create","model":"gpt-5.5","input":"spend"}'); resolve(); };
  made.onerror = made.onclose = resolve;
  setTimeout(resolve, 3000);
});
(async () => {
  for (const mode of ["cors", "no-cors"]) {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json", "application/ld+json", ""]) {
      for (const credentials of ["omit", "include"]) {
        await tryRead(mode + " " + type + " " + credentials, chat, { method: "POST", mode, credentials, body, headers: type ? { "content-type": type } : {} });
      }
    }
    for (const path of ["/v1/models", "/health", "/ready", "/metrics", "/api/tags", "/"]) await tryRead(mode + " " + path, target + path, { mode });
    for (const path of ["/page/state", "/page/live", "/page/app.js"]) await tryRead(mode + " " + path, target + path, { mode, credentials: "include" });
    for (const path of ["/page/try", "/page/code", "/page/session"]) {
      for (const type of ["text/plain", "application/json"]) {
        const ask = JSON.stringify({ model: "gpt-5.5", input: "spend", key: "guess" });
        await tryRead(mode + " " + path + " " + type, target + path, { method: "POST", mode, body: ask, credentials: "include", headers: { "content-type": type } });
      }
    }
    await tryRead(mode + " blob", chat, { method: "POST", mode, body: new Blob([body]) });
    await tryRead(mode + " responses", target + "/v1/responses", { method: "POST", mode, body: JSON.stringify({ model: "gpt-5.5", input: "spend" }) });
    await tryRead(mode + " keepalive", chat, { method: "POST", mode, body, keepalive: true });
    await tryRead(mode + " no referrer", chat, { method: "POST", mode, body, referrerPolicy: "no-referrer" });
    await tryRead(mode + " put", chat, { method: "PUT", mode, body });
  }
  // Two beacons and two EventSources are not counted by anything else.
  navigator.sendBeacon(chat, body);
  navigator.sendBeacon(chat, new Blob([body], { type: "application/json" }));
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) await form(chat, type, "post");
  await form(chat, "text/plain", "get");
  await element("img", "src", target + "/v1/models");
  await element("script", "src", target + "/v1/models");
  await element("iframe", "src", target + "/v1/models");
  await element("iframe", "src", target + "/");
  await element("script", "src", target + "/page/app.js");
  await form(target + "/page/try", "text/plain", "post");
  await element("link", "href", target + "/v1/models");
  await socket(target.replace("http", "ws") + "/v1/responses");
  await new Promise((resolve) => { const source = new EventSource(target + "/v1/models"); source.onmessage = () => readable.push("eventsource"); setTimeout(() => (source.close(), resolve()), 500); });
  await new Promise((resolve) => { const source = new EventSource(target + "/page/live", { withCredentials: true }); source.addEventListener("requests", () => readable.push("page live")); setTimeout(() => (source.close(), resolve()), 500); });
  await fetch("/report", { method: "POST", body: JSON.stringify({ readable, tried: tried + 4 }) });
})();
`;

let demo: DemoRelay;
afterEach(() => demo.stop());

interface Outcome {
  /** What the page could read, by name. */
  readonly readable: readonly string[];
  readonly tried: number;
}

/** Opens the page at `pageHost` and lets it attack the relay under the name `targetHost`; what it could read. */
async function attack(pageHost: string, targetHost: string): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-browser-"));
  const reported = Promise.withResolvers<Outcome>();
  const pages = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.method === "POST") {
        reported.resolve((await request.json()) as Outcome);
        return new Response();
      }
      const html = `<!doctype html><title>page</title><body><script>${ATTACK}</script>`;
      return new Response(html, { headers: { "content-type": "text/html" } });
    },
  });
  const relay = new URL(demo.relay.url);
  const url = `http://${pageHost}:${pages.port}/?target=http://${targetHost}:${relay.port}`;
  const browser = Bun.spawn(
    [
      chromium ?? "",
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--no-proxy-server",
      `--user-data-dir=${folder}`,
      // Names that belong to the attacker and lead to this machine.
      "--host-resolver-rules=MAP *.example 127.0.0.1",
      "--remote-debugging-port=0",
      url,
    ],
    { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, HOME: folder } },
  );
  try {
    return await Promise.race([
      reported.promise,
      browser.exited.then(() => Promise.reject(new Error("the browser ended by itself"))),
    ]);
  } finally {
    browser.kill();
    await browser.exited;
    await pages.stop(true);
    rmSync(folder, { recursive: true, force: true });
  }
}

describe.skipIf(!chromium)("a page in a real browser", () => {
  test.each([
    ["of another site", "page.example", "127.0.0.1"],
    ["of another site, by the name localhost", "page.example", "localhost"],
    ["of this machine on another port", "127.0.0.1", "127.0.0.1"],
    ["that rebinds its own name to this machine", "page.example", "page.example"],
    ["that rebinds another name of its site", "page.example", "api.page.example"],
  ])(
    "%s can neither spend nor read anything",
    async (which, pageHost, targetHost) => {
      demo = startDemoRelay();
      const { readable, tried } = await attack(pageHost, targetHost);
      expect(readable).toEqual([]);
      expect(demo.backend.counts.responses).toBe(0);
      report("attack", `a page ${which}`, tried);
    },
    SLOW_MS,
  );

  test(
    "that its owner allowed comes in, which shows that the attacks above are real",
    async () => {
      demo = startDemoRelay({ relay: { corsOrigins: ["*"] } });
      const { readable } = await attack("page.example", "127.0.0.1");
      expect(readable).toContain("cors application/json omit: 200");
      expect(demo.backend.counts.responses).toBeGreaterThan(0);
    },
    SLOW_MS,
  );
});
