import { expect, test } from "bun:test";
import type { CredentialProvider } from "../../src/auth/credentials.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { dataOf, fixedCredentials, post, startTestRelay } from "../support/relay.ts";
import { FaultyBackend, rightAnswer, type Said } from "./faulty-backend.ts";
import { randomOf } from "./mutate.ts";
import { report } from "./report.ts";

/** `SOCKET_HOURS=24 SOCKET_SEED=7 bun test hostile/socket-hour` looks longer, and elsewhere. */
const hours = Number(process.env["SOCKET_HOURS"] ?? 1);
const seed = Number(process.env["SOCKET_SEED"] ?? 1);

const MINUTE = 60_000;
const FAULTS = { answerPercent: 20, handshakePercent: 3 };
/** How long a dead peer is waited for, by the real clock. */
const SILENCE_MS = 150;
const CONVERSATIONS = 12;
/** Asked at the same time. */
const AT_ONCE = 3;
/** After so many messages a conversation begins anew. */
const LONGEST = 16;

/** What a client has of one reply. */
interface Outcome {
  readonly text: string;
  /** The dialect's sign of an answer that is whole. */
  readonly isWhole: boolean;
  /** A status or a frame told of a failure. */
  readonly isToldOff: boolean;
}

async function outcomeOf(url: string, said: readonly Said[], leave: AbortSignal | undefined): Promise<Outcome> {
  const messages = said.map(({ role, text }) => ({ role, content: text }));
  const response = await post(`${url}/v1/chat/completions`, { model: "gpt-5.5", stream: true, messages }, {}, leave);
  const body = await response.text();
  if (!response.ok) return { text: "", isWhole: false, isToldOff: true };
  const frames = dataOf(body).filter(isObject);
  const choices = frames.flatMap(({ choices }) => (Array.isArray(choices) ? (choices as JsonObject[]) : []));
  const text = choices
    .map(({ delta }) => (isObject(delta) && typeof delta["content"] === "string" ? delta["content"] : ""))
    .join("");
  return {
    text,
    isWhole: choices.some(({ finish_reason: reason }) => reason === "stop"),
    isToldOff: frames.some(({ error }) => error !== undefined),
  };
}

test.each(["auto", "websocket"] as const)(
  `${hours} h of failing connections: no answer is lost in silence, doubled or another's, %s (seed ${seed})`,
  async (transport) => {
    const random = randomOf(seed);
    let nowMs = 1_800_000_000_000;
    const now = () => nowMs;
    // What is asked when is the same for a seed; which of the requests under way a fault meets is their order of arrival.
    const backend = new FaultyBackend({ random: randomOf(seed + 1_000_000), now, ...FAULTS });
    let logins = 0;
    const current = () => fixedCredentials({ accessToken: backend.token, accountId: `acc-${logins}` }).current();
    const credentials: CredentialProvider = { current, recover: current };
    const limits = { firstByteTimeoutMs: SILENCE_MS, idleTimeoutMs: SILENCE_MS, holdMs: 2 * SILENCE_MS };
    await using relay = startTestRelay({
      baseUrl: backend.baseUrl,
      credentials,
      now,
      upstream: { transport, ...limits },
    });
    const told = { whole: 0, failed: 0, left: 0 };
    let questions = 0;
    const conversations: Said[][] = Array.from({ length: CONVERSATIONS }, () => []);

    const turn = async (index: number): Promise<void> => {
      const before = conversations[index] ?? [];
      const said = [...before, { role: "user", text: `question ${(questions += 1)}` }];
      const leave = random() < 0.05 ? AbortSignal.timeout(Math.ceil(random() * 5)) : undefined;
      const outcome = await outcomeOf(relay.url, said, leave).catch((thrown: unknown) => {
        if (leave?.aborted !== true) throw thrown;
        told.left += 1;
      });
      if (!outcome) return;
      const right = rightAnswer(said);
      const { text, isWhole, isToldOff } = outcome;
      // Whole and right, or told off with a beginning of the right one at most.
      expect({ isWhole, isToldOff, text }).toEqual(
        isWhole
          ? { isWhole: true, isToldOff: false, text: right }
          : { isWhole: false, isToldOff: true, text: right.slice(0, text.length) },
      );
      told[isWhole ? "whole" : "failed"] += 1;
      if (isWhole) conversations[index] = said.length < LONGEST ? [...said, { role: "assistant", text }] : [];
    };

    try {
      const endMs = nowMs + hours * 60 * MINUTE;
      while (nowMs < endMs) {
        const first = Math.floor(random() * CONVERSATIONS);
        await Promise.all(Array.from({ length: AT_ONCE }, (_, step) => turn((first + step * 5) % CONVERSATIONS)));
        // Now and then everybody is away for a while.
        nowMs += random() < 0.02 ? random() * 8 * MINUTE : random() * 15_000;
        if (random() < 0.03) backend.token = `token-${(logins += 1)}`;
      }
      backend.isCalm = true;
      // Past every rest that failures have earned.
      nowMs += 11 * MINUTE;
      const failed = told.failed;
      for (let index = 0; index < CONVERSATIONS; index += 1) await turn(index);
      expect(told.failed).toBe(failed);
      expect(backend.strangers).toBe(0);
      expect(backend.mostSockets).toBeLessThanOrEqual(32);
      expect(backend.counts.get("continued")).toBeGreaterThan(0);
      const faults = [...backend.counts].map(([name, count]) => `${name} ${count}`).join(", ");
      report("sockets", `${hours} h, ${transport}, seed ${seed}`, questions, `${JSON.stringify(told)}; ${faults}`);
    } finally {
      await backend.stop();
    }
  },
  Math.max(1, hours) * 120_000,
);
