export interface FrameSource {
  /** The next frames to send, joined; "" when there is nothing to send yet; undefined at the end. Never throws. */
  next(): Promise<string | undefined>;
  /** The reader is gone: let go of everything behind the frames. */
  cancel(): void;
}

export interface KeepAlive {
  /** Sent after each `everyMs` of silence; "" sends nothing. */
  readonly frame: string;
  readonly everyMs: number;
}

/**
 * Frames → response body. Pull-based, so a reader that stops reading stops upstream too. Bun's `type: "direct"` streams
 * are faster on paper but ignore back-pressure and keep reading for clients that have left.
 */
export function toByteStream(source: FrameSource, keepAlive: KeepAlive): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let silence: Timer | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (keepAlive.frame === "") return;
      silence = setTimeout(function remind() {
        // A reader that is behind has bytes to read already.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(keepAlive.frame));
        silence = setTimeout(remind, keepAlive.everyMs);
      }, keepAlive.everyMs);
    },
    async pull(controller) {
      for (;;) {
        const frames = await source.next();
        if (frames === undefined) {
          clearTimeout(silence);
          controller.close();
          return;
        }
        if (frames === "") continue;
        controller.enqueue(encoder.encode(frames));
        silence?.refresh();
        return;
      }
    },
    cancel() {
      clearTimeout(silence);
      source.cancel();
    },
  });
}
