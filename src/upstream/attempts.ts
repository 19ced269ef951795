import { toRelayError } from "../lib/errors.ts";

/** One try to get an answer. */
export interface UpstreamAttempt {
  readonly url: string;
  /** Undefined where requests are passed on unread. */
  readonly model: string | undefined;
}

/** Watches how a backend is asked. Quick, and never throws. */
export interface AttemptObserver {
  /** It is about to be asked, perhaps once more; headers that tie its own trace to the request's, where there are any. */
  onAttempt(attempt: UpstreamAttempt): Readonly<Record<string, string>>;
  /** That failed with an error of this code; another attempt may follow. */
  onAttemptFailed(code: string): void;
}

const NO_HEADERS = {};

/** Runs one attempt in the sight of `observer`, with the headers that it wants sent along. */
export async function watchAttempt<Reply>(
  observer: AttemptObserver | undefined,
  attempt: UpstreamAttempt,
  act: (more: Readonly<Record<string, string>>) => Promise<Reply>,
): Promise<Reply> {
  try {
    return await act(observer?.onAttempt(attempt) ?? NO_HEADERS);
  } catch (thrown) {
    observer?.onAttemptFailed(toRelayError(thrown).code);
    throw thrown;
  }
}
