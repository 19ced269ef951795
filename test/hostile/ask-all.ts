import { expect } from "bun:test";
import { completed, created, delta, frames } from "../support/fake-codex.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { eventually, post, type TestRelay } from "../support/relay.ts";
import { CLIENTS, type Client, type Understood } from "./dialects.ts";
import { HEAD, type Exchange, type RawBackend, type Script } from "./raw-backend.ts";
import type { Account } from "./report.ts";

/** Longer than any machine needs, shorter than a hang. */
export const HANG_MS = 60_000;

/** For replies that never go on: whoever does not wait for them is as good as whoever waits for minutes. */
export const HASTY = { firstByteTimeoutMs: 400, idleTimeoutMs: 400 };
export const PATIENT = { firstByteTimeoutMs: HANG_MS, idleTimeoutMs: HANG_MS };

/** The answer's text, as far as clients have heard it when a stream breaks in its middle. */
export const BEGINNING = "Hel";
export const GOOD_EVENTS = [created, delta(BEGINNING), delta("lo"), completed];
export const GOOD = frames(GOOD_EVENTS);

/** What clients make of a good answer. */
export const FINE = { status: 200, end: "finished", text: "Hello" } as const;

export type Code = "upstream_unreachable" | "upstream_timeout" | "upstream_stream_truncated" | "upstream_error";

/** For the dialect that has no codes. */
const WORDS: Record<Code, RegExp> = {
  upstream_unreachable: /could not be reached/,
  upstream_timeout: /did not answer within|sent nothing for/,
  upstream_stream_truncated: /ended before the response was complete/,
  upstream_error: /^Upstream /,
};

/** Marks of clients that wait for the rest of an answer, and what goes on once they have heard its beginning. */
const listeners = new Map<string, PromiseWithResolvers<void>>();

/** The good answer, whole. */
export function whole(exchange: Exchange): void {
  exchange.write(HEAD);
  exchange.chunk(GOOD);
  exchange.end();
}

/** Begins the answer well, waits until the client has it, and goes on with `more`. */
export function goesOn(more: (exchange: Exchange) => unknown): Script {
  return async (exchange) => {
    exchange.write(HEAD);
    exchange.chunk(frames([created, delta(BEGINNING)]));
    await heard(exchange);
    await more(exchange);
  };
}

/** Clients of whole answers never tell. */
async function heard({ body }: Exchange): Promise<void> {
  const client = CLIENTS.find(({ mark }) => body.includes(mark));
  if (client?.isStreaming) await listeners.get(client.mark)?.promise;
}

export async function ask(relay: TestRelay, client: Client): Promise<Understood> {
  listeners.set(client.mark, Promise.withResolvers());
  if (client.isSocket) return askSocket(relay, client);
  const reply = await post(relay.url + client.path, client.body, client.headers, AbortSignal.timeout(HANG_MS));
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of reply.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes(BEGINNING)) listeners.get(client.mark)?.resolve();
  }
  return client.understand(reply.status, text);
}

/** The frames of a socket as the events that they would be over HTTP; a refusal in their place as one. */
async function askSocket(relay: TestRelay, client: Client): Promise<Understood> {
  const { mark, path, body, headers } = client;
  const socket = new WebSocket(relay.url.replace("http", "ws") + path, { headers } as unknown as string[]);
  const over = Promise.withResolvers<void>();
  const frames: string[] = [];
  socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "response.create", ...body })));
  socket.addEventListener("message", ({ data }) => {
    frames.push(String(data));
    if (String(data).includes(BEGINNING)) listeners.get(mark)?.resolve();
    if (/^\{(.*?,)?"type":"(error|response\.(completed|incomplete|failed))"/.test(String(data))) over.resolve();
  });
  socket.addEventListener("close", () => over.resolve());
  const limit = setTimeout(() => over.reject(new Error("it said nothing and stayed open")), HANG_MS);
  await over.promise.finally(() => clearTimeout(limit));
  socket.close();
  const { type, status, ...refusal } = JSON.parse(frames[0] ?? "{}") as JsonObject;
  if (type === "error" && typeof status === "number") return client.understand(status, JSON.stringify(refusal));
  return client.understand(200, frames.map((frame) => `data: ${frame}\n\n`).join(""));
}

/** Asks as every client at once, and looks that upstream was let go of. */
export async function askAll(
  { relay, backend, account }: { relay: TestRelay; backend: RawBackend; account: Account },
  judge: (client: Client, told: Understood) => void,
): Promise<void> {
  await Promise.all(CLIENTS.map(async (client) => judge(client, await ask(relay, client))));
  account.tried(CLIENTS.length);
  await eventually(() => backend.held() === 0 && relay.activeRequests() === 0, HANG_MS);
}

/** The relay goes on as if nothing had been; a hasty one may need a few attempts where the machine is slow. */
export async function expectRecovery(relay: TestRelay): Promise<void> {
  const [client] = CLIENTS;
  if (!client) throw new Error("nobody asks");
  let told = await ask(relay, client);
  for (let attempt = 0; told.code === "upstream_timeout" && attempt < 20; attempt += 1) told = await ask(relay, client);
  expect(told).toMatchObject(FINE);
}

/** An error in the client's own dialect, with its true status, or behind what it has heard already. */
export function expectFailure(client: Client, told: Understood, code: Code, begun = false): void {
  // Codex clients look into a stream themselves, and ask again when it has no end.
  if (client.knowsCuts && told.status === 200) return expect(told.end).not.toBe("finished");
  // Where the machine is slow a hasty relay may give up before it has read what came.
  const isTooSlow = code === "upstream_timeout" && told.status === 504;
  const isHeard = begun && client.isStreaming && !isTooSlow;
  const shown = { ...told, client: client.name, hasWords: WORDS[code].test(told.message) };
  return expect(shown).toMatchObject({
    client: client.name,
    status: isHeard ? 200 : code === "upstream_timeout" ? 504 : 502,
    end: "failed",
    text: isHeard ? BEGINNING : "",
    hasWords: true,
    ...(told.code === "" ? {} : { code }),
  });
}
