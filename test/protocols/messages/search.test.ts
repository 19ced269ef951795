import { expect, test } from "bun:test";
import { WireEvent } from "../../../src/codex/wire/event.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { messages } from "../../../src/protocols/messages/index.ts";
import { opened } from "../../support/cases.ts";

test("text that waits for the pages of a search is shown when the answer fails", () => {
  const request = {
    model: "gpt-5.5",
    max_tokens: 500,
    stream: true,
    messages: [{ role: "user", content: "hi" }],
    tools: [{ type: "web_search_20250305", name: "web_search" }],
  };
  const { stream, take } = opened(messages, request);
  const search = {
    id: "ws_0",
    type: "web_search_call",
    status: "completed",
    action: { type: "search", query: "frost" },
  };
  for (const event of [
    { type: "response.created", response: { id: "resp_1" } },
    { type: "response.output_item.done", output_index: 0, item: search },
    { type: "response.output_text.delta", output_index: 1, item_id: "msg_1", content_index: 0, delta: "Mid October" },
  ]) {
    const wire = WireEvent.from(JSON.stringify(event));
    if (wire) stream.onEvent(wire);
  }
  expect(take()).not.toContain("Mid October");
  stream.onFailure(new RelayError("upstream_error", "Lost."), "req_1");
  const sent = take();
  expect(sent).toContain("Mid October");
  expect(sent.indexOf("web_search_tool_result")).toBeLessThan(sent.indexOf("Mid October"));
  expect(sent.indexOf("event: error")).toBeGreaterThan(sent.indexOf("Mid October"));
});
