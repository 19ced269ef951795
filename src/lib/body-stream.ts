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
  let onFrames: (frames: string | undefined) => void | Promise<void>;
  return new ReadableStream<string>({
    start(controller) {
      onFrames = (frames) => {
        if (frames === "") return nextFrames(source).then(onFrames);
        if (frames === undefined) {
          idleTimer?.stop();
          controller.close();
          return undefined;
        }
        controller.enqueue(frames);
        idleTimer?.touch();
        return undefined;
      };
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
    pull: () => source.next().then(onFrames),
    cancel() {
      idleTimer?.stop();
      source.cancel();
    },
  });
}

/** Behind a step without frames, of which a long answer may have thousands in a row. */
async function nextFrames(source: FrameSource): Promise<string | undefined> {
  let frames = await source.next();
  while (frames === "") frames = await source.next();
  return frames;
}
