import { expect, test } from "bun:test";
import { fakeCodex, refuses } from "../support/fake-codex.ts";
import { post, startTestRelay } from "../support/relay.ts";

const refusal = (param: string) =>
  refuses(400, {
    error: { message: `Invalid '${param}': no.`, type: "invalid_request_error", code: "invalid_value", param },
  });
const image = "data:image/png;base64,AA==";

test.each<[string, object, string, string]>([
  [
    "/v1/chat/completions",
    {
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: [{ type: "image_url", image_url: { url: image } }] },
      ],
    },
    "input[0].content[0].image_url",
    "messages[1].content[0]",
  ],
  [
    "/v1/responses",
    {
      input: [
        { type: "reasoning", summary: [] },
        { role: "user", content: "x" },
      ],
    },
    "input[0].content[0].text",
    "input[1].content[0].text",
  ],
  [
    "/v1/messages",
    { max_tokens: 9, messages: [{ role: "user", content: "a" }] },
    "input[0].content[0].text",
    "messages.0.content.0",
  ],
  [
    "/api/chat",
    { stream: false, messages: [{ role: "user", content: "a" }] },
    "input[0].content[0].text",
    "messages[0].content",
  ],
])("%s: the backend's refusal names the client's own place", async (path, body, place, own) => {
  await using backend = fakeCodex(refusal(place));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = await post(relay.url + path, { model: "gpt-5.5", ...body });
  expect(reply.status).toBe(400);
  const text = await reply.text();
  expect(text).toContain(own);
  expect(text).not.toContain(place);
});

const question = { role: "user", content: "a" };

test.each<[string, object, string, string]>([
  ["/v1/chat/completions", { messages: [question] }, "messages", "response_format"],
  ["/v1/completions", { prompt: "a" }, "prompt", "text.format"],
  ["/v1/responses", { input: "a" }, "input", "text.format"],
  ["/v1/messages", { max_tokens: 9, messages: [question] }, "messages", "output_config.format"],
  ["/api/chat", { stream: false, messages: [question] }, "messages", "format"],
  ["/api/generate", { stream: false, prompt: "a" }, "prompt", "format"],
])("%s: a refusal of the whole input, or of a field of another name, too", async (path, body, input, format) => {
  const refused = { message: "Say 'json' to use 'text.format'.", type: "invalid_request_error", param: "input" };
  await using backend = fakeCodex(refuses(400, { error: { ...refused, code: null } }));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = await post(relay.url + path, { model: "gpt-5.5", ...body });
  expect(reply.status).toBe(400);
  const text = await reply.text();
  expect(text).toContain(`Say 'json' to use '${format}'.`);
  if (path.startsWith("/v1/") && path !== "/v1/messages") expect(text).toContain(`"param":"${input}"`);
});
