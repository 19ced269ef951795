import { expect, test } from "bun:test";
import { FoundRun } from "../../src/upstream/event-cutter.ts";
import { sseText } from "../../src/lib/sse.ts";

const TYPE = "response.output_text.delta";
const frame = (json: string) => sseText(TYPE, json);
const first = frame(`{"type":"${TYPE}","item_id":"msg_1","output_index":2,"content_index":0,"delta":"Hi"}`);

/** The raw delta that the run of `begin` finds in `text`. */
function found(begin: string, text: string, at = 0): string | undefined {
  const place = FoundRun.from(begin)?.placeIn(text, at);
  return place && text.slice(place.from, place.to);
}

test("a run knows of which part its deltas are", () => {
  expect(FoundRun.from(first)?.event as object).toEqual({
    type: TYPE,
    item_id: "msg_1",
    output_index: 2,
    content_index: 0,
    delta: "",
  });
});

test.each([
  ["the next delta", '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":" you"}', " you"],
  ["an empty one", '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":""}', ""],
  ["quotes", '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":"a\\"b\\\\"}', 'a\\"b\\\\'],
  [
    "what upstream puts behind it",
    '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":"x","logprobs":[],"obfuscation":"aB3/+=","sequence_number":17,"news":null}',
    "x",
  ],
])("%s belongs to it", (_what, json, delta) => {
  const text = frame(json.replace('"T"', `"${TYPE}"`));
  expect(found(first, text)).toBe(delta);
  expect(found(first, `${first}${text}`, first.length)).toBe(delta);
});

test.each([
  ["another item", '{"type":"T","item_id":"msg_2","output_index":2,"content_index":0,"delta":"x"}'],
  ["another part", '{"type":"T","item_id":"msg_1","output_index":2,"content_index":1,"delta":"x"}'],
  [
    "a part whose number begins alike",
    '{"type":"T","item_id":"msg_1","output_index":2,"content_index":01,"delta":"x"}',
  ],
  [
    "what says behind the delta where it belongs",
    '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":"x","item_id":"msg_9"}',
  ],
  [
    "log probabilities, which are told",
    '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":"x","logprobs":[{"token":"x"}]}',
  ],
  ["no text", '{"type":"T","item_id":"msg_1","output_index":2,"content_index":0,"delta":5}'],
])("%s does not", (_what, json) => {
  expect(found(first, frame(json.replace('"T"', `"${TYPE}"`)))).toBeUndefined();
});

test.each(["abc\ndata: def", "abc\n\nevent: keepalive\ndata: x"])(
  "nor does a line break, which ends the line: %p",
  (text) => {
    const whole = first.replace("Hi", text);
    expect(found(first, whole)).toBeUndefined();
  },
);

test("a frame that has not come to its end is none yet", () => {
  for (let end = 0; end < first.length; end += 1) expect(found(first, first.slice(0, end))).toBeUndefined();
});

test("numbers may come first", () => {
  const numbered = (number: number, delta: string) =>
    frame(`{"type":"${TYPE}","sequence_number":${number},"item_id":"msg_1","output_index":2,"delta":"${delta}"}`);
  expect(found(numbered(9, "a"), numbered(10, "b"))).toBe("b");
  expect(found(numbered(9, "a"), numbered(10, "b").replace("msg_1", "msg_2"))).toBeUndefined();
});

test.each([
  ["of another order", `{"delta":"x","type":"${TYPE}"}`],
  ["with more in front than where it belongs", `{"type":"${TYPE}","note":"n","delta":"x"}`],
  ["whose names differ", `{"type":"response.refusal.delta","delta":"x"}`],
  ["whose beginning is no JSON", `{"type":"${TYPE}","item_id":"\u0001","delta":"x"}`],
])("a delta %s begins none", (_what, json) => {
  expect(FoundRun.from(frame(json))).toBeUndefined();
});

test("nor does one that is rare, which is looked at on its own", () => {
  const rare = '{"type":"response.refusal.delta","item_id":"msg_1","delta":"x"}';
  expect(FoundRun.from(sseText("response.refusal.delta", rare))).toBeUndefined();
});
