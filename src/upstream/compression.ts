import type { RelayError } from "../lib/errors.ts";

/** What fits into the first flight of a connection arrives no sooner for being smaller. In characters or bytes. */
const WORTH_PACKING = 16 * 1024;

/** Packs a conversation to a third of its size, at some hundred megabits a second and more. */
const LEVEL = 1;

/** What a backend says that cannot read what it got. */
const UNREADABLE = /decod|decompress|content.encoding|zstd|(invalid|malformed|parse)\W+(the )?(request )?(body|json)/i;

type Body = string | Uint8Array<ArrayBuffer>;

/** Packs request bodies as the Codex CLI does, for as long as the backend takes them. */
export class Packing {
  #isRefused = false;

  /** The body, packed where that is known to work and worth it, and the headers that say so. */
  async pack(url: string, body: Body): Promise<{ readonly body: Body; readonly headers: Record<string, string> }> {
    if (this.#isRefused || body.length < WORTH_PACKING || !isCodexBackend(url)) return { body, headers: {} };
    // Beside the event loop: a megabyte takes some milliseconds.
    const packed = await Bun.zstdCompress(body, { level: LEVEL });
    return { body: new Uint8Array(packed), headers: { "content-encoding": "zstd" } };
  }

  /** True when a refusal may be about the packing: from now on bodies go as they are. */
  learn({ upstreamBody, message }: RelayError): boolean {
    const status = upstreamBody?.status;
    const isAboutPacking = status === 415 || ((status === 400 || status === 422) && UNREADABLE.test(message));
    this.#isRefused ||= isAboutPacking;
    return isAboutPacking;
  }
}

/** A gateway or a stand-in of somebody's own might not unpack, and is mostly near. */
function isCodexBackend(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "chatgpt.com" || hostname.endsWith(".chatgpt.com");
}
