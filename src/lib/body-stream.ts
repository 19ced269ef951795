import { IdleTimer } from "./idle-timer.ts";

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
 * are faster on paper but ignore back-pressure and keep reading for clients that have left. The frames stay text: Bun
 * writes it to the socket as UTF-8 by itself, and a copy in bytes for every event is saved.
 */
export function toBodyStream(source: FrameSource, keepAlive: KeepAlive): ReadableStream<string> {
  let idleTimer: IdleTimer | undefined;
  return new ReadableStream<string>({
    start(controller) {
      if (keepAlive.frame === "") return;
      idleTimer = new IdleTimer(keepAlive.everyMs, () => {
        const { desiredSize } = controller;
        // The stream has failed.
        if (desiredSize === null) return;
        // A reader that is behind has bytes to read already.
        if (desiredSize > 0) controller.enqueue(keepAlive.frame);
        idleTimer?.touch();
      });
    },
    async pull(controller) {
      let frames = await source.next();
      while (frames === "") frames = await source.next();
      if (frames === undefined) {
        idleTimer?.stop();
        controller.close();
        return;
      }
      controller.enqueue(frames);
      idleTimer?.touch();
    },
    cancel() {
      idleTimer?.stop();
      source.cancel();
    },
  });
}
