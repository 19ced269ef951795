import { afterEach, expect, test } from "bun:test";
import { isObject } from "../../src/lib/json.ts";
import { post } from "../support/relay.ts";
import { held, report } from "./report.ts";
import { Rig } from "./rig.ts";

const CONVERSATIONS = 1000;
const AT_ONCE = 50;
const MOST_SOCKETS = 32;
/** Idle connections to one host that Bun's fetch keeps for later, those of the test's own clients, and the runtime's. */
const OTHER_HANDLES = 64 + AT_ONCE + 16;
const MIB = 1024 * 1024;
const TEXT = "A line of a file that somebody reads. ".repeat(200);

let rig: Rig;
afterEach(() => rig.stop());

/** Two turns, the second of which may go on from the first. */
async function converse(name: string): Promise<void> {
  const messages: object[] = [{ role: "user", content: `${name}: deltas:5 ${TEXT}` }];
  for (let turn = 0; turn < 2; turn += 1) {
    const response = await post(`http://127.0.0.1:${rig.port}/v1/chat/completions`, { model: "gpt-5.5", messages });
    const reply: unknown = await response.json();
    expect(response.status).toBe(200);
    const [choice] = isObject(reply) ? (reply["choices"] as { message: object }[]) : [];
    messages.push(choice?.message ?? {}, { role: "user", content: "deltas:5 go on" });
  }
}

/** The most of the backend's sockets that were open at the end of any fifty. */
async function converseAll(name: string): Promise<number> {
  let most = 0;
  for (let first = 0; first < CONVERSATIONS; first += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => converse(`${name} ${first + index}`)));
    most = Math.max(most, (await rig.seen()).openSockets);
  }
  return most;
}

test.each(["auto", "websocket"])(
  "1,000 conversations hold no more sockets than may be open, and 1,000 more hardly more memory (%s)",
  async (transport) => {
    rig = await Rig.start(["--transport", transport]);
    await converse("the first");
    const before = rig.holding();
    const most = await converseAll("one of many");
    const first = rig.holding();
    const mostOfMore = await converseAll("one of more");
    const second = rig.holding();
    report("sockets", `1,000 conversations, ${transport}`, 2 * CONVERSATIONS, held(before, first, second));
    expect(most).toBeGreaterThan(0);
    expect(Math.max(most, mostOfMore)).toBeLessThanOrEqual(MOST_SOCKETS);
    expect(second.handles).toBeLessThanOrEqual(before.handles + MOST_SOCKETS + OTHER_HANDLES);
    expect((second.rssMb - first.rssMb) * MIB).toBeLessThan(64 * MIB);
    const { responses, refusals } = await rig.seen();
    expect([responses, refusals]).toEqual([2 * (2 * CONVERSATIONS + 1), 0]);
  },
  180_000,
);
