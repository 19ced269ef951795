import { expect, test } from "bun:test";
import { readRequestFrame } from "../../src/server/websocket/request-frame.ts";

test.each(["", "\ufeff"])("a frame is the same request as text and as bytes, behind %j", async (mark) => {
  const text = `${mark}${JSON.stringify({ type: "response.create", model: "gpt-5.5", input: "\ufeff" })}`;
  const body = { model: "gpt-5.5", input: "\ufeff" };
  expect(await readRequestFrame(text)).toEqual(body);
  expect(await readRequestFrame(Buffer.from(text))).toEqual(body);
});
