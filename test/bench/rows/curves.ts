import { withBoth, type Bench, type Curve, type Row } from "../row.ts";
import { messages, requestCost } from "./large.ts";
import { underLoad } from "./paced.ts";

/** Events a second of all streams together: what is asked is what many streams cost, not what many events do. */
const EVENTS_PER_SECOND = 2500;
const SECONDS = 3;
/** Of a stream; with fewer its request would be most of its cost. */
const FEWEST = 30;

export const curves: Row = {
  name: "curves",
  about: "how cost grows from 1 to 1,000 streams, and with the messages of a request",
  async run(bench) {
    return { figures: [], curves: [...(await overStreams(bench)), await overMessages(bench)] };
  },
};

async function overStreams(bench: Bench): Promise<Curve[]> {
  const cpu: Curve["points"][number][] = [];
  const memory: Curve["points"][number][] = [];
  for (const streams of bench.isQuick ? [1, 100, 1000] : [1, 10, 50, 100, 250, 500, 1000]) {
    const paceMs = Math.max(5, Math.round((1000 * streams) / EVENTS_PER_SECOND));
    const load = { streams, paceMs, deltas: Math.max(FEWEST, Math.round((SECONDS * 1000) / paceMs)) };
    await withBoth(bench, async (relay, raw) => {
      const theirs = await underLoad(raw, load);
      const ours = await underLoad(relay, load);
      cpu.push({ x: streams, relay: ours.cpuUs, raw: theirs.cpuUs });
      memory.push({ x: streams, relay: ours.rss, raw: theirs.rss });
    });
  }
  return [
    { name: "streams-cpu", x: "streams at once", y: "CPU an event, µs", points: cpu },
    { name: "streams-memory", x: "streams at once", y: "highest RSS, MB", points: memory },
  ];
}

async function overMessages(bench: Bench): Promise<Curve> {
  const points: Curve["points"][number][] = [];
  await withBoth(bench, async (relay, raw) => {
    for (const count of bench.isQuick ? [1, 100, 2000] : [1, 10, 100, 500, 1000, 2000, 4000]) {
      const earlier = messages(count);
      const requests = Math.max(10, Math.round(2000 / count));
      for (const program of [raw, relay]) await requestCost(program, earlier, 5, "chat");
      const theirs = await requestCost(raw, earlier, Math.min(requests, 200), "chat");
      const ours = await requestCost(relay, earlier, Math.min(requests, 200), "chat");
      points.push({ x: count, relay: ours.cpuMs, raw: theirs.cpuMs });
    }
  });
  return { name: "messages-cpu", x: "messages of a request", y: "CPU a request, ms", points };
}
