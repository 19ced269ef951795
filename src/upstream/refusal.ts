import { httpFailure } from "../codex/wire/failure.ts";
import type { RelayError } from "../lib/errors.ts";

/** In characters; refusals of the backend are a few hundred. */
const LONGEST_REFUSAL = 64 * 1024;

/** What a reply says that is none. Its body is waited for no longer than `limitMs`. */
export async function readRefusal(response: Response, limitMs: number, nowMs: () => number): Promise<RelayError> {
  return httpFailure(await bodyOf(response, limitMs), nowMs());
}

/** A refusal with its text, or with what of it came in time: the status alone says most. */
async function bodyOf(
  response: Response,
  limitMs: number,
): Promise<{ status: number; headers: Headers; text: string }> {
  const reader = (response.body ?? new Blob().stream()).getReader();
  const letGo = () => void reader.cancel().catch(() => {});
  const decoder = new TextDecoder();
  let text = "";
  const timer = setTimeout(letGo, limitMs);
  try {
    while (text.length < LONGEST_REFUSAL) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    // Broken off: what came has to do.
  } finally {
    clearTimeout(timer);
    letGo();
  }
  return { status: response.status, headers: response.headers, text: text.slice(0, LONGEST_REFUSAL) };
}
