import { expect, test } from "bun:test";
import fc from "fast-check";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import { portableItem } from "../../../src/protocols/responses/items.ts";

const at = () => "input[0]";

/** The rules once more, for items of the kinds below, by making every object anew. */
function rebuilt(item: JsonObject): JsonObject | undefined {
  const { id, ...others } = cleaned(item);
  const { type, role, output, summary } = item;
  const said: JsonObject = type === "web_search_call" ? { ...others, ...(isObject(id) || !id ? {} : { id }) } : others;
  if (type === "reasoning") return said["encrypted_content"] ? { ...said, summary: summary ?? [] } : undefined;
  if (isObject(item["arguments"])) said["arguments"] = JSON.stringify(item["arguments"]);
  if (Array.isArray(output)) return { ...said, output: output.map(rebuiltPart) };
  if (role === undefined) return said;
  const { name, ...message } = said;
  const parts = Array.isArray(item["content"])
    ? item["content"].map(rebuiltPart)
    : [{ type: role === "assistant" ? "output_text" : "input_text", text: item["content"] }];
  const [first] = parts;
  if (role === "user" && typeof name === "string" && first !== undefined) {
    if (first["type"] === "input_text") parts[0] = { ...first, text: `${name}: ${String(first["text"])}` };
    else parts.unshift({ type: "input_text", text: `${name}:` });
  }
  return { ...message, type: "message", role: role === "system" ? "developer" : role, content: parts };
}

function rebuiltPart(part: JsonObject): JsonObject {
  if (part["type"] === "output_text") return { type: "output_text", text: part["text"] };
  const { prompt_cache_breakpoint: _mark, ...said } = cleaned(part);
  return part["type"] === "input_image" ? { ...said, detail: said["detail"] ?? "auto" } : said;
}

function cleaned(fields: JsonObject): JsonObject {
  const kept = Object.entries(fields).filter(
    ([name, value]) => value !== null && name !== "parsed" && name !== "parsed_arguments",
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, isObject(value) ? cleaned(value) : value]));
}

/** Some of these fields, or none; some of them say nothing. */
const fieldsOf = (fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.subarray(Object.keys(fields)).chain((names) => {
    const kept = names.map((name) => [name, fc.option(fields[name] ?? fc.constant(null), { freq: 4 })] as const);
    return fc.record(Object.fromEntries(kept), { noNullPrototype: true });
  });
const word = fc.constantFrom("a", "completed", "msg_1");
const nested = fieldsOf({ mode: word, parsed: word, inner: fieldsOf({ a: word, b: fc.constant(1) }) });
const more = { id: word, parsed: nested, metadata: nested };

const text = fc
  .record({ type: fc.constantFrom("input_text", "output_text"), text: word })
  .chain((part) =>
    fieldsOf({ annotations: fc.constant([]), prompt_cache_breakpoint: nested }).map((also) => ({ ...part, ...also })),
  );
const image = fieldsOf({ detail: fc.constantFrom("auto", "high"), prompt_cache_breakpoint: nested }).map((also) => ({
  type: "input_image",
  image_url: "data:image/png;base64,AAAA",
  ...also,
}));
const parts = fc.array(fc.oneof(text, image), { maxLength: 3 });

const message = fc
  .tuple(
    fc.record({ role: fc.constantFrom("user", "assistant", "system", "developer"), content: fc.oneof(word, parts) }),
    fieldsOf({ type: fc.constant("message"), name: word, ...more }),
  )
  .map(([said, also]) => ({ ...also, ...said }));
const other = fc
  .tuple(
    fc.constantFrom("function_call", "function_call_output", "reasoning", "web_search_call"),
    fieldsOf({
      output: fc.oneof(word, parts),
      arguments: fc.oneof(word, nested),
      summary: fc.constant([{ type: "summary_text", text: "a" }]),
      encrypted_content: word,
      ...more,
    }),
  )
  .map(([type, also]) => ({ type, ...also }));

test("an item is what it would be if every object in it were made anew, and stays as the client wrote it", () => {
  let same = 0;
  fc.assert(
    fc.property(fc.oneof(message, other), (item: JsonObject) => {
      const before = JSON.stringify(item);
      const portable = portableItem(item, at);
      const expected = rebuilt(item);
      expect(portable).toStrictEqual(expected);
      expect(JSON.stringify(item)).toBe(before);
      // What has to change nothing is not copied.
      if (JSON.stringify(expected) === before) expect(portable).toBe(item);
      if (portable === item) same += 1;
    }),
    { numRuns: 3000 },
  );
  expect(same).toBeGreaterThan(50);
});
