import { expect, test } from "bun:test";
import { post, startTestRelay } from "../support/relay.ts";

const PIECE = new TextEncoder().encode(`"${"A".repeat(1024 * 1024)}",`);

/** A backend whose answers of JSON never end, and how many it was asked for. */
function endlessBackend() {
  let asked = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      if (request.method === "GET") return Response.json({ models: [] });
      asked += 1;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{"data":[')),
        pull: (controller) => controller.enqueue(PIECE),
      });
      return new Response(body, { headers: { "content-type": "application/json" } });
    },
  });
  return { server, asked: () => asked };
}

test.each([
  ["/v1/images/generations", { prompt: "a cat" }],
  ["/v1/responses/compact", { model: "gpt-5.5", input: "hello" }],
])("an answer without end to %s is given up, and not asked for again", async (path, body) => {
  const { server, asked } = endlessBackend();
  const relay = startTestRelay({ baseUrl: server.url.origin });
  const reply = await post(relay.url + path, body);
  expect(reply.status).toBe(502);
  expect(await reply.text()).toContain("is longer than 128 MiB");
  expect(asked()).toBe(1);
  await relay.stop();
  await server.stop(true);
});
