import { atMost, type Row } from "../row.ts";
import { memoryOf } from "../system.ts";

const SOCKETS = 24;
const FRAME_BYTES = 30 * 1024 * 1024;

export const sockets: Row = {
  name: "sockets",
  about: `${SOCKETS} WebSockets of clients at once, each with a frame of 30 MiB: memory, and how many are answered`,
  async run(bench) {
    const growth: number[] = [];
    const answered: number[] = [];
    const told: number[] = [];
    for (let round = 0; round < bench.rounds; round += 1) {
      const relay = await bench.relay();
      try {
        await outcomeOf(relay.url, frameOf(1024));
        const before = memoryOf(relay.pid).rss;
        const frame = frameOf(bench.isQuick ? FRAME_BYTES / 10 : FRAME_BYTES);
        const outcomes = await Promise.all(Array.from({ length: SOCKETS }, () => outcomeOf(relay.url, frame)));
        growth.push(memoryOf(relay.pid).peak - before);
        answered.push(outcomes.filter((outcome) => outcome === "answered").length);
        told.push(outcomes.filter((outcome) => outcome === "told to come again").length);
      } finally {
        await relay.stop();
      }
    }
    const label = `${SOCKETS} sockets with 30 MiB each`;
    const isEach = () => answered.every((count, round) => count + (told[round] ?? 0) === SOCKETS);
    return {
      figures: [
        { label: `${label}, RSS grows by`, unit: "MB", digits: 0, relay: growth, raw: [], goal: atMost(300, "MB") },
        { label: `${label}, answered`, unit: "", digits: 0, relay: answered, raw: [] },
        {
          label: `${label}, told to come again`,
          unit: "",
          digits: 0,
          relay: told,
          raw: [],
          goal: { text: "the rest", isReached: isEach },
        },
      ],
    };
  },
};

function frameOf(bytes: number): string {
  const input = [
    { role: "user", content: "x".repeat(bytes) },
    { role: "user", content: "bench:text:3" },
  ];
  return JSON.stringify({ type: "response.create", model: "gpt-5.5", store: false, input });
}

/** Sends one frame and waits for what becomes of it. */
function outcomeOf(url: string, frame: string): Promise<"answered" | "told to come again" | "lost"> {
  const { promise, resolve } = Promise.withResolvers<"answered" | "told to come again" | "lost">();
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/responses`);
  socket.addEventListener("open", () => socket.send(frame));
  socket.addEventListener("message", ({ data }) => {
    const text = String(data);
    if (text.includes('"type":"response.completed"')) resolve("answered");
    else if (text.includes('"type":"error"'))
      resolve(/relay_busy|overloaded|503/.test(text) ? "told to come again" : "lost");
  });
  // 1013 is "try again later" (IANA's registry of close codes).
  socket.addEventListener("close", ({ code }) => resolve(code === 1013 ? "told to come again" : "lost"));
  socket.addEventListener("error", () => resolve("lost"));
  return promise.finally(() => socket.close());
}
