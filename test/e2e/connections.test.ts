import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificate, type Certificate } from "../support/certificate.ts";
import { startDetour } from "../support/detour.ts";
import { createEgress } from "../../src/upstream/egress.ts";
import { startTestRelay } from "../support/relay.ts";

const MESSAGE = { type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: "Hello." }] };

/** A backend whose replies end only when it is told to: all events first, the end of the body later. */
function startSlowEnder(tls?: Certificate) {
  const ports = new Set<number>();
  const ends: (() => void)[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls ? { tls: { key: tls.key, cert: tls.cert } } : {}),
    async fetch(request, bun) {
      if (request.method === "GET") return Response.json({ models: [] }, { status: 404 });
      ports.add(bun.requestIP(request)?.port ?? 0);
      await request.arrayBuffer();
      const events = [
        { type: "response.created", response: { id: "resp_1" } },
        { type: "response.output_item.done", output_index: 0, item: MESSAGE },
        { type: "response.completed", response: { id: "resp_1", status: "completed", output: [] } },
      ];
      const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(text));
          ends.push(() => controller.close());
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    ports,
    endAll: () => ends.splice(0).forEach((end) => end()),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test.each([
  ["/v1/chat/completions", { messages: [{ role: "user", content: "Hi" }] }, true],
  ["/v1/chat/completions", { messages: [{ role: "user", content: "Hi" }] }, false],
  ["/v1/responses", { input: "Hi" }, true],
  ["/v1/responses", { input: "Hi" }, false],
  ["/v1/messages", { max_tokens: 100, messages: [{ role: "user", content: "Hi" }] }, true],
])("%s %j stream %p: the next request takes the connection of the one before", async (path, body, stream) => {
  await using backend = startSlowEnder();
  await using relay = startTestRelay({ baseUrl: backend.url });
  const asked = async () => {
    const response = await fetch(relay.url + path, {
      method: "POST",
      body: JSON.stringify({ model: "gpt-5.5", stream, ...body }),
    });
    return response.text();
  };
  // The client has its whole answer while the backend's reply has not ended yet.
  expect(await asked()).toContain("Hello.");
  for (let requests = 1; backend.ports.size === requests; requests += 1) {
    // When it has, its connection is free a moment later.
    if (requests === 50) throw new Error("every request has opened a connection");
    backend.endAll();
    await Bun.sleep(2);
    expect(await asked()).toContain("Hello.");
  }
});

test.skipIf(!Bun.which("openssl"))(
  "through an outbound proxy the next request takes the tunnel of the one before",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "plansocket-tunnel-"));
    const tls = certificate(folder, ["chatgpt.com"]);
    const ca = readFileSync(tls.authority, "utf8");
    await using backend = startSlowEnder(tls);
    const detour = startDetour(backend.port);
    try {
      await using relay = startTestRelay({
        baseUrl: "https://chatgpt.com/backend-api/codex",
        egress: {
          fetch: (url, init) => fetch(url, { ...init, proxy: detour.url, tls: { ca } } as RequestInit),
          connect: createEgress({ proxy: detour.url, noProxy: "" }).connect,
          proxyFor: () => detour.url,
        },
      });
      const asked = async () => {
        const body = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "Hi" }], stream: true });
        return (await fetch(`${relay.url}/v1/chat/completions`, { method: "POST", body })).text();
      };
      expect(await asked()).toContain("Hello.");
      for (let requests = 1, tunnels = 0; tunnels !== detour.tunnels.length; requests += 1) {
        if (requests === 50) throw new Error("every request has opened a tunnel");
        tunnels = detour.tunnels.length;
        backend.endAll();
        await Bun.sleep(2);
        expect(await asked()).toContain("Hello.");
      }
    } finally {
      detour.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
