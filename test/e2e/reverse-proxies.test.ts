import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RelayOptions } from "../../src/server/options.ts";
import { created, delta, fakeCodex, says, sse, type FakeCodex } from "../support/fake-codex.ts";
import { keepLines } from "../support/log-lines.ts";
import { chatBody, post, startTestRelay, type TestRelay } from "../support/relay.ts";
import {
  canRun,
  PROXY_NAMES,
  startReverseProxy,
  type ProxyName,
  type ReverseProxy,
  type Way,
} from "../support/reverse-proxies.ts";

const folder = mkdtempSync(join(tmpdir(), "plansocket-proxies-"));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

interface Setup {
  readonly way?: Way;
  readonly isOnSocket?: boolean;
  readonly relay?: Partial<RelayOptions>;
}

/** Client → a real proxy → a relay that trusts it → a backend that the test plays. */
async function behind(
  name: ProxyName,
  backend: FakeCodex,
  { way = "as they are", isOnSocket, relay: over }: Setup = {},
) {
  const log = keepLines();
  const unix = join(folder, `${crypto.randomUUID().slice(0, 8)}.sock`);
  const relay: TestRelay = startTestRelay({
    baseUrl: backend.baseUrl,
    log,
    relay: {
      trustProxies: ["127.0.0.1"],
      allowHosts: ["relay.example"],
      ...(isOnSocket ? { unix, host: "localhost" } : {}),
      ...over,
    },
  });
  const proxy: ReverseProxy = await startReverseProxy(
    name,
    isOnSocket ? `unix:${unix}` : `127.0.0.1:${relay.port}`,
    way,
  );
  cleanups.push(
    () => backend.stop(),
    () => relay.stop(),
    () => proxy.stop(),
  );
  return { relay, proxy, log };
}

/** A backend whose answer stops after its first words until `finish`. */
function heldAnswer(): { backend: FakeCodex; finish: () => void } {
  const held = Promise.withResolvers<void>();
  const backend = fakeCodex(async () => {
    const [start, end] = [await sse([created, delta("first words")]).text(), await says("the end")().text()];
    const parts = async function* () {
      yield new TextEncoder().encode(start);
      await held.promise;
      yield new TextEncoder().encode(
        end.slice(end.indexOf("the end") < 0 ? 0 : end.lastIndexOf("\n\n", end.indexOf("the end")) + 2),
      );
    };
    return new Response(parts(), { headers: { "content-type": "text/event-stream" } });
  });
  return { backend, finish: held.resolve };
}

interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

/** Reads until `pattern` was said. */
async function readUntil(reader: Reader, pattern: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!pattern.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended with: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

describe.each([...PROXY_NAMES])("behind %s", (name) => {
  const isThere = canRun(name);
  if (!isThere) console.warn(`skipped: ${name} is not installed, and not in PLANSOCKET_TEST_PROGRAMS`);

  describe.skipIf(!isThere)("(needs it)", () => {
    test.each([
      ["a port", false],
      ["a Unix socket", true],
    ])("words arrive as they are said, from a relay on %s", async (_where, isOnSocket) => {
      const { backend, finish } = heldAnswer();
      const { proxy } = await behind(name, backend, { isOnSocket });
      const reply = await post(`${proxy.origin}/v1/chat/completions`, chatBody({ stream: true }));
      const reader = reply.body!.getReader();
      expect(await readUntil(reader, /first words/)).not.toContain("the end");
      finish();
      expect(await readUntil(reader, /\[DONE\]/)).toContain("the end");
    });

    test.each<[string, Setup]>([
      ["passes it on, as --base-path says", { relay: { basePath: "/relay" } }],
      ["takes it off, as X-Forwarded-Prefix says", { way: "without /relay" }],
      ["takes it off, before a socket", { way: "without /relay", isOnSocket: true }],
    ])("a path of its own works where the proxy %s", async (_how, setup) => {
      const { proxy } = await behind(name, fakeCodex(says("hello")), setup);
      const at = `${proxy.origin}/relay`;
      expect(await (await post(`${at}/v1/chat/completions`, chatBody())).text()).toContain("hello");
      const page = await fetch(`${at}/`, { headers: { accept: "text/html" } });
      expect([page.status, page.headers.get("content-type")]).toEqual([200, expect.stringContaining("text/html")]);
      expect((await fetch(`${at}/page/app.js`)).status).toBe(200);
      expect((await fetch(`${at}/page/state`)).status).toBe(200);
    });

    test("its clients are known by their own address and name, whatever they claim", async () => {
      const { proxy, log } = await behind(name, fakeCodex(says("hello")));
      const status = (headers: Record<string, string>) => {
        const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
        const options = { host: "127.0.0.1", port: proxy.port, path: "/v1/models", localAddress: "127.0.0.2", headers };
        request(options, (reply) => (reply.resume(), resolve(reply.statusCode)))
          .on("error", reject)
          .end();
        return promise;
      };
      expect(await status({ host: "relay.example", "x-forwarded-for": "6.6.6.6" })).toBe(200);
      expect(log.requests().at(-1)?.["address"]).toBe("127.0.0.2");
      // Only the name that was really asked for counts.
      expect(await status({ host: "evil.example", "x-forwarded-host": "relay.example" })).toBe(403);
      expect(await status({ host: "relay.example", "x-forwarded-host": "evil.example" })).toBe(200);
    });

    test("bodies of 10 MB come through whole", async () => {
      const backend = fakeCodex(says("read"));
      const { proxy } = await behind(name, backend);
      const content = "lorem ipsum ".repeat(870_000);
      const reply = await post(
        `${proxy.origin}/v1/chat/completions`,
        chatBody({ messages: [{ role: "user", content }] }),
      );
      expect(await reply.text()).toContain("read");
      expect(JSON.stringify(backend.bodies[0])).toContain(content.slice(-5000));
      expect(JSON.stringify(backend.bodies[0]).length).toBeGreaterThan(10_000_000);
    });

    test("a WebSocket opens and answers", async () => {
      const { proxy } = await behind(name, fakeCodex(says("over a socket")));
      const socket = new WebSocket(`${proxy.origin.replace("http", "ws")}/v1/responses`);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      let text = "";
      socket.addEventListener("message", ({ data }) => {
        text += String(data);
        if (String(data).includes('"response.completed"')) resolve(text);
      });
      socket.addEventListener("error", () => reject(new Error("it did not open")));
      socket.addEventListener("open", () =>
        socket.send(JSON.stringify({ type: "response.create", model: "gpt-5.5", input: "hi" })),
      );
      expect(await promise).toContain("over a socket");
      socket.close();
    });

    test("the page hears of requests as they end", async () => {
      const { proxy } = await behind(name, fakeCodex(says("hello")));
      const feed = await fetch(`${proxy.origin}/page/live`);
      const reader = feed.body!.getReader();
      await (await post(`${proxy.origin}/v1/chat/completions`, chatBody())).text();
      expect(await readUntil(reader, /\/v1\/chat\/completions/)).toContain("gpt-5.5");
      await reader.cancel();
    });
  });
});
