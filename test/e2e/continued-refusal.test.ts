import { expect, test } from "bun:test";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { completed, created, MODELS } from "../support/fake-codex.ts";
import { post, startTestRelay } from "../support/relay.ts";

const answer = { id: "msg_1", type: "message", role: "assistant", content: [{ type: "output_text", text: "ok" }] };

/** A backend over sockets that takes no `unheard_of` in its input, and names the place in the frame that it was sent. */
function socketBackend() {
  const frames: JsonObject[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, self) {
      if (request.headers.has("upgrade") && self.upgrade(request)) return undefined;
      return Response.json({ models: MODELS }, { headers: { etag: 'W/"1"' } });
    },
    websocket: {
      message(socket, text) {
        const frame = JSON.parse(String(text)) as JsonObject;
        frames.push(frame);
        const input = frame["input"] as JsonObject[];
        const at = input.findIndex((item) => "unheard_of" in item);
        const param = `input[${at}].unheard_of`;
        const error = {
          type: "invalid_request_error",
          code: "unknown_parameter",
          message: `Unknown parameter: '${param}'.`,
          param,
        };
        const item = { type: "response.output_item.done", output_index: 0, item: answer };
        const events = at < 0 ? [created, item, completed] : [{ type: "error", status: 400, error }];
        for (const event of events) socket.send(JSON.stringify(event));
      },
    },
  });
  return {
    frames,
    baseUrl: `http://127.0.0.1:${server.port}/backend-api/codex`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test("a refusal of the rest of a conversation is read in the whole (contract 0.17)", async () => {
  await using backend = socketBackend();
  await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { transport: "websocket" } });
  const ask = (input: object[]) => post(`${relay.url}/v1/responses`, { model: "gpt-5.5", input, store: false });
  const user = { role: "user", content: "hi" };
  await ask([user]);
  const reply = await ask([user, answer, { role: "user", content: "and now?", unheard_of: 1 }]);
  expect([reply.status, reply.headers.get("x-plansocket-adjusted")]).toEqual([200, "input[].unheard_of"]);
  const shown = backend.frames.map((frame) => [
    frame["previous_response_id"] !== undefined,
    (frame["input"] as unknown[]).length,
    (frame["input"] as unknown[]).some((item) => isObject(item) && "unheard_of" in item),
  ]);
  // The rest, then the whole, then the whole without what was refused.
  expect(shown).toEqual([
    [false, 1, false],
    [true, 1, true],
    [false, 3, true],
    [false, 3, false],
  ]);
});
