import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { randomOf } from "./mutate.ts";
import { RawClient } from "./raw-client.ts";
import { held, report } from "./report.ts";
import { becomesTrue, Rig, type Holding } from "./rig.ts";

/** `HOSTILE_LONG=1` makes the soak an hour, `SOAK_MINUTES` what it says; `LOAD_SEED=7 bun test hostile/load` chooses otherwise. */
const soakMs = Number(process.env["SOAK_MINUTES"] ?? (process.env["HOSTILE_LONG"] ? 60 : 0)) * 60_000;
const seed = Number(process.env["LOAD_SEED"] ?? 1);
const LIMIT_MS = 180_000;

/** Idle connections to one host that Bun's fetch keeps for later. */
const KEPT_CONNECTIONS = 64;
/** Files and pipes that a runtime opens and closes by itself. */
const SPARE_HANDLES = 8;
const MIB = 1024 * 1024;

const CHAT = "/v1/chat/completions";
const ask = (deltas: number, over: object = {}) =>
  JSON.stringify({
    model: "gpt-5.5",
    stream: true,
    messages: [{ role: "user", content: `deltas:${deltas}` }],
    ...over,
  });

let rig: Rig;
afterEach(() => rig.stop());

function many(count: number, body: string, path = CHAT): RawClient[] {
  return Array.from({ length: count }, () => new RawClient(rig.port, path, body));
}

const openStreams = async (wanted: number) =>
  becomesTrue(async () => (await rig.seen()).openStreams === wanted, `${wanted} open streams upstream`);

const isFinished = (client: RawClient) => {
  const { text, isWhole } = client.body();
  return isWhole && text.endsWith("data: [DONE]\n\n");
};

/** What the relay holds when its clients are gone: no more handles than before, apart from connections kept for later. */
async function settled(before: Holding): Promise<Holding> {
  const most = before.handles + KEPT_CONNECTIONS + SPARE_HANDLES;
  await becomesTrue(async () => rig.holding().handles <= most, `at most ${most} handles`);
  return rig.holding();
}

/** Memory comes back when the collector has been there, which nobody outside can hurry. */
async function isBackAt(mostMb: number): Promise<void> {
  await becomesTrue(async () => rig.holding().rssMb <= mostMb, `at most ${mostMb} MB`);
}

/** Nothing is counted as under way: a relay that has requests says so when it is told to end. */
async function endsIdle(): Promise<void> {
  expect(await rig.terminate()).toBe(0);
  expect(rig.said).not.toContain("Stopping after");
}

test(
  "1,000 streams at once are all open upstream at the same time, and all arrive whole",
  async () => {
    rig = await Rig.start();
    const [first] = many(1, ask(40));
    await first?.closed;
    const before = rig.holding();
    await rig.behave({ holdAfter: 20 });
    const clients = many(1000, ask(40));
    await openStreams(1000);
    await Promise.all(clients.map((client) => client.begun()));
    const during = rig.holding();
    await rig.go();
    await Promise.all(clients.map((client) => client.closed));
    expect(clients.filter((client) => !isFinished(client))).toHaveLength(0);
    expect(new Set(clients.map((client) => client.body().text.length)).size).toBe(1);
    await openStreams(0);
    const after = await settled(before);
    expect((await rig.seen()).refusals).toBe(0);
    report("load", "open streams", 1000, held(before, during, after));
    await endsIdle();
  },
  LIMIT_MS,
);

test(
  "500 readers that stop hold upstream back, cost bounded memory, and leave nothing behind",
  async () => {
    rig = await Rig.start();
    const before = rig.holding();
    await rig.behave({ repeats: 1_000_000 });
    const clients = many(500, ask(40));
    await Promise.all(clients.map((client) => client.begun().then(() => client.stopReading())));
    await openStreams(500);
    // What is made fits into sockets; a relay that went on reading would have the backend make 260 MB for each.
    let made = -1;
    let looks = 0;
    await becomesTrue(async () => {
      const { eventsMade } = await rig.seen();
      looks = eventsMade === made ? looks + 1 : 0;
      made = eventsMade;
      return looks >= 20;
    }, "upstream held back");
    expect(made).toBeLessThan(500 * 200_000);
    const during = rig.holding();
    expect((during.rssMb - before.rssMb) / 500).toBeLessThan(8);
    // Some go on, and still get what comes.
    const [slow] = clients;
    const size = slow?.size ?? 0;
    slow?.goOnReading();
    await becomesTrue(async () => (slow?.size ?? 0) > size + MIB, "a reader that goes on gets more");
    for (const client of clients) client.leave();
    await openStreams(0);
    const after = await settled(before);
    report("load", "readers that stop", 500, held(before, during, after));
    await endsIdle();
  },
  LIMIT_MS,
);

test(
  `200 clients that leave at random moments release what they had asked for (seed ${seed})`,
  async () => {
    rig = await Rig.start();
    const before = rig.holding();
    const random = randomOf(seed);
    await rig.behave({ holdAfter: 10, repeats: 100_000 });
    const clients = Array.from({ length: 200 }, () => {
      const isStreamed = random() < 0.7;
      return new RawClient(rig.port, CHAT, ask(40, { stream: isStreamed }));
    });
    // Before upstream has the request, while it holds back, or in the middle of the answer.
    const leaves = clients.map(async (client) => {
      const when = random();
      if (when < 0.3) return client.leave();
      await becomesTrue(async () => (await rig.seen()).responses >= Math.floor(random() * 140), "requests upstream");
      if (when > 0.6) await rig.go();
      client.leave();
    });
    await Promise.all(leaves);
    const during = rig.holding();
    await openStreams(0);
    const after = await settled(before);
    report("load", "clients that leave", 200, `seed ${seed}, ${held(before, during, after)}`);
    await endsIdle();
  },
  LIMIT_MS,
);

test(
  "past the limit each one is told to come again, at once and without reaching upstream",
  async () => {
    rig = await Rig.start(["--max-requests", "50"]);
    await rig.behave({ holdAfter: 20 });
    const before = rig.holding();
    const inside = many(50, ask(40));
    await openStreams(50);
    const voices = [CHAT, "/v1/responses", "/v1/completions", "/v1/messages", "/api/chat"];
    const outside = voices.flatMap((path) => many(60, ask(40), path));
    await Promise.all(outside.map((client) => client.closed));
    for (const client of outside) {
      expect([503, 529]).toContain(client.status);
      expect(client.header("retry-after")).toBe("1");
      expect(JSON.parse(client.body().text)).toHaveProperty("error");
    }
    // The health check is not a request to the model.
    expect((await fetch(`http://127.0.0.1:${rig.port}/health`)).status).toBe(200);
    const during = rig.holding();
    expect((await rig.seen()).responses).toBe(50);
    await rig.go();
    await Promise.all(inside.map((client) => client.closed));
    expect(inside.filter((client) => !isFinished(client))).toHaveLength(0);
    const [next] = many(1, ask(3));
    await next?.closed;
    expect(next?.status).toBe(200);
    const after = await settled(before);
    report("load", "requests past the limit", outside.length, held(before, during, after));
    await endsIdle();
  },
  LIMIT_MS,
);

test(
  "SIGTERM under load cuts nothing: who was being answered gets the rest, who comes now is not let in",
  async () => {
    rig = await Rig.start();
    await rig.behave({ holdAfter: 20 });
    const clients = [...many(150, ask(40)), ...many(50, ask(40, { stream: false }))];
    await openStreams(200);
    rig.signal("SIGTERM");
    await becomesTrue(async () => rig.said.includes("Stopping after 200 running requests"), "the drain began");
    const [late] = many(1, ask(40));
    await late?.closed;
    expect(late?.size).toBe(0);
    await rig.go();
    await Promise.all(clients.map((client) => client.closed));
    expect(clients.slice(0, 150).filter((client) => !isFinished(client))).toHaveLength(0);
    for (const client of clients.slice(150)) {
      expect(client.body().isWhole).toBe(true);
      expect(JSON.parse(client.body().text)).toHaveProperty("choices");
    }
    expect(await rig.exited).toBe(0);
    report("load", "requests drained", clients.length);
  },
  LIMIT_MS,
);

describe("bodies of 64 MiB", () => {
  const opening = '{"model":"gpt-5.5","messages":[{"role":"user","content":[{"type":"text","text":"deltas:3"},';
  const image = (bytes: number) => {
    const head = `${opening}{"type":"image_url","image_url":{"url":"data:image/png;base64,`;
    const tail = '"}}]}]}';
    return Buffer.from(head + "A".repeat(bytes - head.length - tail.length) + tail);
  };

  test(
    "in parallel are answered, and nothing of them stays in memory",
    async () => {
      rig = await Rig.start();
      const before = rig.holding();
      const body = image(64 * MIB);
      const rounds = 6;
      const peaks: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const clients = Array.from({ length: 3 }, () => new RawClient(rig.port, CHAT, body));
        await Promise.all(clients.map((client) => client.closed));
        for (const client of clients) expect([client.status, client.raw.slice(-200)]).toEqual([200, expect.anything()]);
        peaks.push(rig.holding().rssMb);
      }
      // What a round leaves depends on the collector, which comes when there is nothing to do.
      await isBackAt(before.rssMb + (3 * rounds * 64) / 2);
      const after = await settled(before);
      const during = { ...before, rssMb: Math.max(...peaks) };
      report("load", "bodies of 64 MiB, three at a time", 3 * rounds, held(before, during, after));
      await endsIdle();
    },
    LIMIT_MS,
  );

  test(
    "and one byte are refused, whether they announce it or not",
    async () => {
      rig = await Rig.start();
      const announced = new RawClient(rig.port, CHAT, image(64 * MIB + 1));
      await announced.closed;
      expect(announced.status).toBe(413);
      const bytes = image(64 * MIB + 1);
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(bytes);
          controller.close();
        },
      });
      const reply = await fetch(`http://127.0.0.1:${rig.port}${CHAT}`, { method: "POST", body: stream });
      expect(reply.status).toBe(413);
      expect((await rig.seen()).responses).toBe(0);
    },
    LIMIT_MS,
  );
});

test(
  "more bodies of 64 MiB than there is room for are told to come again, and those inside are answered",
  async () => {
    rig = await Rig.start();
    await rig.behave({ holdAfter: 0 });
    const before = rig.holding();
    const body = Buffer.from(ask(3).replace("{", `{"user":"${"u".repeat(60 * MIB)}",`));
    const clients = Array.from({ length: 14 }, () => new RawClient(rig.port, CHAT, body));
    const refused = () => clients.filter(({ size, status }) => size > 0 && status !== 200);
    await becomesTrue(
      async () => (await rig.seen()).openStreams + refused().length === clients.length,
      "all are in or out",
    );
    const during = rig.holding();
    expect(refused().length).toBeGreaterThan(0);
    for (const client of refused()) {
      expect([client.status, client.header("retry-after")]).toEqual([503, "1"]);
    }
    const inside = clients.filter((client) => !refused().includes(client));
    expect(inside.length).toBeGreaterThan(0);
    await rig.go();
    await Promise.all(inside.map((client) => client.closed));
    expect(inside.filter((client) => !isFinished(client))).toHaveLength(0);
    report("load", "bodies beyond the room for them", clients.length, held(before, during, await settled(before)));
    await endsIdle();
  },
  LIMIT_MS,
);

test(
  "a gigabyte from somebody without a key costs no memory",
  async () => {
    rig = await Rig.start([], () => ({ PLANSOCKET_API_KEY: "the-key" }));
    const before = rig.holding();
    let most = before.rssMb;
    const { promise: said, resolve } = Promise.withResolvers<string>();
    const socket = connect(rig.port, "127.0.0.1");
    socket.on("data", (bytes: Buffer) => resolve(bytes.toString()));
    socket.write(`POST ${CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${1024 * MIB}\r\n\r\n`);
    const piece = Buffer.alloc(MIB);
    for (let sent = 0; sent < 1024; sent += 1) {
      if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
      if (sent % 32 === 0) most = Math.max(most, rig.holding().rssMb);
    }
    expect(await said).toStartWith("HTTP/1.1 401");
    expect(most - before.rssMb).toBeLessThan(100);
    socket.destroy();
    report("load", "a gigabyte without a key", 1, held(before, { ...before, rssMb: most }, await settled(before)));
    await endsIdle();
  },
  LIMIT_MS,
);

describe("a soak", () => {
  const REQUESTS = 1500;

  /** What clients do all day, well and badly. */
  const deeds: readonly ((random: () => number) => Promise<void>)[] = [
    async () => finished(CHAT, ask(30)),
    async () => finished(CHAT, ask(30, { stream: false })),
    async () => finished("/v1/responses", JSON.stringify({ model: "gpt-5.5", input: "deltas:30", stream: true })),
    async () => finished("/v1/responses", JSON.stringify({ model: "gpt-5.5", input: "deltas:30" })),
    async () => finished("/v1/messages", ask(30, { max_tokens: 100_000_000 })),
    async () => finished("/api/chat", ask(30)),
    async () => finished("/v1/completions", JSON.stringify({ model: "gpt-5.5", prompt: "deltas:30" })),
    async () => finished(CHAT, ask(30, { model: "gpt-unheard-of" })),
    async () => finished(CHAT, "{"),
    async (random) => {
      const client = new RawClient(rig.port, CHAT, ask(3000));
      if (random() < 0.5) await client.begun();
      client.leave();
    },
  ];

  async function finished(path: string, body: string): Promise<void> {
    const client = new RawClient(rig.port, path, body);
    await client.closed;
    expect(client.status).toBeGreaterThanOrEqual(200);
    expect(client.status).toBeLessThan(500);
    expect(client.body().isWhole).toBe(true);
  }

  /** Eight clients at a time, until so many requests were made and so much time has passed. */
  async function work(requests: number, forMs: number, random: () => number): Promise<number> {
    const start = performance.now();
    let done = 0;
    const worker = async () => {
      while (done < requests || performance.now() - start < forMs) {
        done += 1;
        await deeds[Math.floor(random() * deeds.length)]?.(random);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    return done;
  }

  test(
    `memory and handles stay where they are (seed ${seed})`,
    async () => {
      rig = await Rig.start();
      const random = randomOf(seed);
      const warm = await work(REQUESTS, 0, random);
      const before = rig.holding();
      const done = await work(REQUESTS, soakMs, random);
      await openStreams(0);
      const after = await settled(before);
      report("load", "requests of a soak", warm + done, `seed ${seed}, ${held(before, rig.holding(), after)}`);
      // What matters is that an hour takes no more than a minute does.
      await isBackAt(before.rssMb + 64);
      await endsIdle();
    },
    soakMs + LIMIT_MS,
  );
});
