import { expect, test } from "bun:test";
import { EventReader, type EventBatches } from "../../src/upstream/sse.ts";

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
  return (await batchesOf(new EventReader(stream))).flat();
}

/** The data of all events, by batch. */
async function batchesOf(events: EventBatches): Promise<string[][]> {
  const found: string[][] = [];
  for (let batch = await events.next(); batch; batch = await events.next()) found.push(batch.map(({ data }) => data));
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
  const stream = new EventReader(body(`data: [DONE]\n\ndata: {broken\n\ndata: 5\n\ndata: ${B}\n\n`), {
    onIgnored: () => (ignored += 1),
  });
  const batch = await stream.next();
  expect(batch?.map((event) => event.type)).toEqual(["keepalive"]);
  expect(ignored).toBe(3);
});

test("the data's own type wins over the event line", async () => {
  const batches = new EventReader(body(`event: response.completed\ndata: ${B}\n\n`));
  expect((await batches.next())?.[0]?.type).toBe("keepalive");
});

test("silence ends the reply with a timeout, after what had come", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${B}\n\n`)),
  });
  const batches = new EventReader(stream, { idleTimeoutMs: 20 });
  expect(await batches.next()).toHaveLength(1);
  await expect(batches.next()).rejects.toMatchObject({ code: "upstream_timeout", status: 504 });
});

test("a client that takes its time is not a silent upstream, which is still noticed afterwards", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const _ of [1, 2]) controller.enqueue(new TextEncoder().encode(`data: ${B}\n\n`));
    },
  });
  const batches = new EventReader(stream, { idleTimeoutMs: 20 });
  expect(await batches.next()).toHaveLength(1);
  await Bun.sleep(60);
  expect(await batches.next()).toHaveLength(1);
  await expect(batches.next()).rejects.toMatchObject({ code: "upstream_timeout" });
});

test("a body that breaks off is an error, not an end", async () => {
  const stream = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new TypeError("reset")) });
  await expect(new EventReader(stream).next()).rejects.toMatchObject({
    code: "upstream_stream_truncated",
    status: 502,
  });
});

/** A body that has always more to say, and whether it was let go. */
function endless() {
  const seen = { isCancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${B}\n\n`)),
    cancel: () => {
      seen.isCancelled = true;
    },
  });
  return { seen, stream };
}

test("leaving early lets go of the body", async () => {
  const { seen, stream } = endless();
  const events = new EventReader(stream);
  expect(await events.next()).not.toBeEmpty();
  events.cancel();
  expect(seen.isCancelled).toBe(true);
});

test("so does whoever is told of an event and cannot bear it", async () => {
  const { seen, stream } = endless();
  const onNotable = () => {
    throw new Error("no");
  };
  const events = new EventReader(stream, { idleTimeoutMs: 60_000, onNotable });
  await expect(events.next()).rejects.toThrow("no");
  expect(seen.isCancelled).toBe(true);
  expect(await events.next()).toBeUndefined();
});

test("a large network read is taken apart bit by bit, as its reader asks for more", async () => {
  const frame = `data: ${A}\n\n`;
  const frames = 40_000;
  const sizes = (await batchesOf(new EventReader(body(frame.repeat(frames))))).map(({ length }) => length);
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
  const events = new EventReader(stream, { onEnd: () => (hasEnded = true) });
  expect((await events.next())?.map(({ data }) => data)).toEqual([END]);
  expect(hasEnded).toBe(true);
  await ended.promise;
  expect(isReadToEnd).toBe(true);
  expect(isCancelled).toBe(false);
});
