import { expect, test } from "bun:test";
import { readEvents } from "../../src/upstream/events.ts";

function body(...chunks: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      controller.close();
    },
  });
}

async function all(stream: ReadableStream<Uint8Array>) {
  const found: string[] = [];
  for await (const batch of readEvents(stream)) found.push(...batch.map((event) => event.data));
  return found;
}

const A = '{"type":"response.output_text.delta","delta":"é\u2028"}';
const B = '{"type":"keepalive"}';

test("LF, CRLF, comments and missing event lines are all the same", async () => {
  expect(await all(body(`event: x\ndata: ${A}\n\n: hello\r\n\r\ndata: ${B}\r\n\r\n`))).toEqual([A, B]);
});

test("a character split over two reads arrives whole", async () => {
  const bytes = new TextEncoder().encode(`data: ${A}\n\n`);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    expect(await all(body(bytes.slice(0, cut), bytes.slice(cut)))).toEqual([A]);
  }
});

test("a last event without its blank line still counts", async () => {
  expect(await all(body(`data: ${B}`))).toEqual([B]);
});

test("two data lines are one event", async () => {
  expect(await all(body('data: {"type":\ndata: "keepalive"}\n\n'))).toEqual(['{"type": "keepalive"}']);
});

test("what is no event is passed over and counted", async () => {
  let ignored = 0;
  const stream = readEvents(body(`data: [DONE]\n\ndata: {broken\n\ndata: 5\n\ndata: ${B}\n\n`), {
    onIgnored: () => (ignored += 1),
  });
  const batch = await stream.next();
  expect(batch.value?.map((event) => event.type)).toEqual(["keepalive"]);
  expect(ignored).toBe(3);
});

test("the data's own type wins over the event line", async () => {
  const batches = readEvents(body(`event: response.completed\ndata: ${B}\n\n`));
  expect((await batches.next()).value?.[0]?.type).toBe("keepalive");
});

test("silence ends the reply with a timeout, after what had come", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${B}\n\n`)),
  });
  const batches = readEvents(stream, { idleTimeoutMs: 20 });
  expect((await batches.next()).value).toHaveLength(1);
  await expect(batches.next()).rejects.toMatchObject({ code: "upstream_timeout", status: 504 });
});

test("a client that takes its time is not a silent upstream, which is still noticed afterwards", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const _ of [1, 2]) controller.enqueue(new TextEncoder().encode(`data: ${B}\n\n`));
    },
  });
  const batches = readEvents(stream, { idleTimeoutMs: 20 });
  expect((await batches.next()).value).toHaveLength(1);
  await Bun.sleep(60);
  expect((await batches.next()).value).toHaveLength(1);
  await expect(batches.next()).rejects.toMatchObject({ code: "upstream_timeout" });
});

test("a body that breaks off is an error, not an end", async () => {
  const stream = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new TypeError("reset")) });
  await expect(readEvents(stream).next()).rejects.toMatchObject({ code: "upstream_stream_truncated", status: 502 });
});

test("leaving early lets go of the body", async () => {
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${B}\n\n`)),
    cancel: () => {
      isCancelled = true;
    },
  });
  for await (const batch of readEvents(stream)) {
    expect(batch.length).toBeGreaterThan(0);
    break;
  }
  expect(isCancelled).toBe(true);
});

test("a large network read is taken apart bit by bit, as its reader asks for more", async () => {
  const frame = `data: ${A}\n\n`;
  const frames = 40_000;
  const sizes: number[] = [];
  for await (const batch of readEvents(body(frame.repeat(frames)))) sizes.push(batch.length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(frames);
  expect(Math.max(...sizes)).toBeLessThan(frames / 20);
});

const END = '{"type":"response.completed","response":{}}';

test("after the last event the rest of the body is read, and nothing of it is passed on", async () => {
  let isReadToEnd = false;
  let isCancelled = false;
  const ended = Promise.withResolvers<void>();
  const chunks = [`data: ${END}\n\n`, `data: ${A}\n\n`, "data: [DONE]\n\n"];
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk !== undefined) return controller.enqueue(new TextEncoder().encode(chunk));
      isReadToEnd = true;
      controller.close();
      ended.resolve();
    },
    cancel: () => {
      isCancelled = true;
    },
  });
  let hasEnded = false;
  const found: string[] = [];
  for await (const batch of readEvents(stream, { onEnd: () => (hasEnded = true) })) {
    found.push(...batch.map((event) => event.data));
    break;
  }
  expect(found).toEqual([END]);
  expect(hasEnded).toBe(true);
  await ended.promise;
  expect(isReadToEnd).toBe(true);
  expect(isCancelled).toBe(false);
});
