import { jsonPieces, roughJsonSize, turn } from "../../lib/large-json.ts";
import type { RequestLifetime } from "../lifetime.ts";
import { jsonReply } from "./reply.ts";

/** Longer replies are written as they are read. In characters. */
const LARGE = 256 * 1024;
/** What is written at a time: short, as many readers may want the next piece in the same turn of the event loop. In characters. */
const PIECE = 64 * 1024;

/**
 * A JSON value as a reply of status 200. A large object is written piece by piece as its reader takes it: a reader that
 * stops holds one piece and no copy of the whole. The request then lasts until all of it was read.
 */
export function wholeReply(
  body: unknown,
  headers: Readonly<Record<string, string>>,
  lifetime: RequestLifetime,
): Response {
  const isLarge = roughJsonSize(body, LARGE).characters > LARGE;
  if (!isLarge || typeof body !== "object" || body === null) return jsonReply(body, 200, headers);
  lifetime.isStreaming = true;
  return new Response(streamOf(jsonPieces(body, PIECE), lifetime), {
    headers: { "content-type": "application/json", ...headers },
  });
}

function streamOf(pieces: Iterator<string, void>, lifetime: RequestLifetime): ReadableStream<string> {
  return new ReadableStream<string>(
    {
      async pull(controller) {
        // A socket takes megabytes at once: others have their turn between pieces.
        await turn();
        if (lifetime.signal.aborted) return controller.error();
        const { done, value } = pieces.next();
        if (!done) return controller.enqueue(value);
        controller.close();
        lifetime.end();
      },
      cancel: () => lifetime.leave(),
    },
    { highWaterMark: 0 },
  );
}
