import type { PageState, UsageView } from "./contract.ts";

/** The relay asks for a key first. */
export class KeyNeeded extends Error {}

/** The relay refused, in its own words, with what to do next. */
export class Refused extends Error {}

export const readState = (): Promise<PageState> => ask<PageState>("page/state");

export const readUsage = (by: string, days: number): Promise<UsageView> =>
  ask<UsageView>(`page/usage?by=${encodeURIComponent(by)}&days=${days}`);

/** Trades a key for a session. Throws `Refused` for a wrong one. */
export async function signIn(key: string): Promise<void> {
  const reply = await fetch("page/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key }),
  });
  if (!reply.ok) throw new Refused(await messageOf(reply));
}

/** One question by the Responses API, as any client would ask it. */
export function askModel(body: object, signal: AbortSignal): Promise<Response> {
  return fetch("page/try", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

async function ask<Body>(path: string): Promise<Body> {
  const reply = await fetch(path, { headers: { accept: "application/json" } });
  if (reply.status === 401) throw new KeyNeeded();
  if (!reply.ok) throw new Refused(await messageOf(reply));
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- both sides are built from one tree and one type
  return (await reply.json()) as Body;
}

/** The words of a refusal, in the envelope of OpenAI's API. */
export async function messageOf(reply: Response): Promise<string> {
  const text = await reply.text();
  try {
    const reply: unknown = JSON.parse(text);
    const error: unknown = typeof reply === "object" && reply !== null && "error" in reply ? reply.error : undefined;
    const isTold = typeof error === "object" && error !== null && "message" in error;
    if (isTold && typeof error.message === "string") return error.message;
  } catch {
    // Something before the relay answered.
  }
  return `The relay answered ${reply.status}.`;
}
