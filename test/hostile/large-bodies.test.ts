import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { RawClient } from "./raw-client.ts";
import { report } from "./report.ts";
import { becomesTrue, Rig } from "./rig.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 120_000;

let rig: Rig;
beforeAll(async () => {
  // Bun takes this variable apart at spaces.
  const preload = `--preload ${join(import.meta.dir, "loop-watch.ts").replaceAll(" ", String.raw`\ `)}`;
  rig = await Rig.start([], () => ({ BUN_OPTIONS: preload }));
});
afterAll(() => rig.stop());

beforeAll(async () => {
  const input = [{ type: "message", id: "msg_large", role: "user", content: `deltas:3 ${"x ".repeat(MIB / 2)}` }];
  const body = JSON.stringify({ model: "gpt-5.5", input });
  const client = new RawClient(rig.port, "/v1/responses", body);
  await client.closed;
  expect(client.status).toBe(200);
});

/** How long the relay's event loop stood still at most since the last question, and how often it turned. */
async function loop(): Promise<{ longestMs: number; turns: number }> {
  const from = rig.said.length;
  const said = () => /event loop: (\{.*\})\n/.exec(rig.said.slice(from))?.[1];
  rig.signal("SIGUSR2");
  await becomesTrue(async () => said() !== undefined, "the relay says how its event loop fares");
  return JSON.parse(said() ?? "") as { longestMs: number; turns: number };
}

const filled = (bytes: number, unit: string) => unit.repeat(Math.floor(bytes / unit.length));
const code = (bytes: number) => filled(bytes, "const answer = compute(40, 2); // as above\\n");
const base64 = (bytes: number) => filled(bytes, "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ");
const chat = (content: string) => `{"model":"gpt-5.5","messages":[{"role":"user","content":${content}}]}`;

const BODIES: readonly (readonly [string, string, () => string | Buffer])[] = [
  ["an image", "/v1/chat/completions", () => chat(imagePart(63 * MIB))],
  ["a book of code", "/v1/chat/completions", () => chat(`"deltas:3 ${code(63 * MIB)}"`)],
  ["nothing but escapes", "/v1/chat/completions", () => chat(`"deltas:3 ${"\\n".repeat(31 * MIB)}"`)],
  ["60,000 messages", "/v1/chat/completions", () => manyMessages(60_000)],
  ["a book of code", "/v1/responses", () => `{"model":"gpt-5.5","input":"deltas:3 ${code(63 * MIB)}"}`],
  ["a book of code", "/v1/messages", () => chat(`"deltas:3 ${code(63 * MIB)}"`)],
  [
    "a book of code, for JSON",
    "/api/chat",
    () => chat(`"deltas:3 ${code(63 * MIB)}"`).replace("{", '{"format":"json",'),
  ],
  ["a word to count, and once the vocabulary to read", "/v1/messages/count_tokens", () => chat('"hello"')],
  ["a book to count", "/v1/messages/count_tokens", () => chat(`"${code(4 * MIB)}"`)],
  ["a book to count", "/v1/responses/input_tokens", () => `{"input":"${code(4 * MIB)}"}`],
  ["a book of code", "/v1/responses/compact", () => `{"model":"gpt-5.5","input":"${code(63 * MIB)}"}`],
  ["a book of code", "/v1/completions", () => `{"model":"gpt-5.5","prompt":"deltas:3 ${code(63 * MIB)}"}`],
  ["a book of code", "/api/generate", () => `{"model":"gpt-5.5","prompt":"deltas:3 ${code(63 * MIB)}"}`],
  ["a book to search for", "/v1/alpha/search", () => `{"query":"${code(63 * MIB)}"}`],
  ["many references", "/v1/responses", () => references(60)],
  ["an image", "/v1/images/edits", () => `{"prompt":"x","image":"data:image/png;base64,${base64(63 * MIB)}"}`],
  ["an image in a form", "/v1/images/edits", () => form("image", "a.png", "\x89PNG\r\n")],
  ["a recording", "/v1/audio/transcriptions", () => form("file", "a.mp3", "ID3")],
];

/** To one item of a mebibyte, which was stored before. */
function references(count: number): string {
  const reference = '{"type":"item_reference","id":"msg_large"}';
  return `{"model":"gpt-5.5","input":[${Array(count).fill(reference).join(",")}]}`;
}

function imagePart(bytes: number): string {
  return `[{"type":"image_url","image_url":{"url":"data:image/png;base64,${base64(bytes)}"}}]`;
}

function manyMessages(count: number): string {
  const message = `{"role":"user","content":"${code(1000)}"}`;
  return `{"model":"gpt-5.5","messages":[${Array(count).fill(message).join(",")}]}`;
}

/** A file of some 45 MiB, which has 60 as base64. */
function form(name: string, file: string, start: string): Buffer {
  const part = (field: string) => `--x\r\nContent-Disposition: form-data; name="${field}"`;
  const prompt = `${part("prompt")}\r\n\r\nx\r\n`;
  const head = `${prompt}${part(name)}; filename="${file}"\r\n\r\n${start}`;
  return Buffer.concat([Buffer.from(head, "latin1"), Buffer.alloc(45 * MIB, 7), Buffer.from("\r\n--x--\r\n")]);
}

test.each(BODIES)(
  "%s on %s holds up nobody else",
  async (what, path, make) => {
    const body = make();
    await loop();
    const type = typeof body === "string" ? "application/json" : "multipart/form-data; boundary=x";
    const client = new RawClient(rig.port, path, body, [`Content-Type: ${type}`]);
    await client.closed;
    expect([client.status, client.body().isWhole]).toEqual([200, true]);
    const { longestMs, turns } = await loop();
    // How long is the machine's to say; that others have their turn, many times, is not.
    if (body.length > MIB) expect(turns).toBeGreaterThan(20);
    const mib = Math.round(body.length / MIB);
    report("input", `${path}: ${what}, ${mib} MiB`, 1, `event loop stood still for ${longestMs} ms at most`);
  },
  LIMIT_MS,
);

test("a body of millions of values is refused, and costs nobody anything", async () => {
  await loop();
  const client = new RawClient(rig.port, "/v1/chat/completions", `{"messages":[${"0,".repeat(31 * MIB)}0]}`);
  await client.closed;
  expect(client.status).toBe(413);
  const { longestMs } = await loop();
  report("input", "62 MiB of numbers", 1, `refused; event loop stood still for ${longestMs} ms at most`);
});
