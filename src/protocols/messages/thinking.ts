import { nonEmptyString } from "../../lib/json.ts";
import type { MessagesRequest } from "./schema.ts";

/**
 * Marks what the relay put into a `signature` or `data`. A conversation may have begun with another model, whose
 * signatures the backend could not read.
 */
const MARK = "plansocket.1.";

/** Encrypted reasoning in the form that clients carry from turn to turn without looking at it. */
export function seal(encrypted: string): string {
  return MARK + encrypted;
}

/** The encrypted reasoning of an earlier turn; undefined when it is not of this relay. */
export function unseal(sealed: unknown): string | undefined {
  const text = nonEmptyString(sealed);
  return text?.startsWith(MARK) && text.length > MARK.length ? text.slice(MARK.length) : undefined;
}

/** What the client wants to see of the model's thinking. */
export type ThinkingView = "none" | "sealed" | "summary";

/** Clients that did not ask for thinking may take the first block for the answer, so they get none. */
export function thinkingView(request: MessagesRequest): ThinkingView {
  const { thinking } = request;
  if (!thinking || thinking.type === "disabled") return "none";
  return thinking.display === "omitted" ? "sealed" : "summary";
}
