/** One request that the stand-in has seen. */
export interface RecordedRequest {
  readonly method: string;
  /** With the query string. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON if it was JSON, text otherwise, after undoing the content coding. */
  readonly body: unknown;
  /** What came in a frame of a socket; `body` is then the whole request as the backend understood it. */
  readonly frame?: unknown;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Status of the reply; undefined until there is one. */
  status(): number | undefined;
  /** Whether the client left before the reply ended. */
  aborted(): boolean;
}

/** Every 4xx that was given because a rule of the backend was broken; scripted faults are not among them. */
export interface RecordedRefusal {
  readonly path: string;
  readonly status: number;
  readonly detail: string;
}

/** The writable side of a recorded request. */
export interface Entry {
  readonly request: RecordedRequest;
  setStatus(status: number): void;
  markAborted(): void;
}

const MAX_KEPT = 1000;

/** The last thousand requests. */
export class Recorder {
  readonly requests: RecordedRequest[] = [];
  readonly refusals: RecordedRefusal[] = [];

  record(request: Request, body: unknown, at: number, frame?: unknown): Entry {
    const url = new URL(request.url);
    let status: number | undefined;
    let wasAborted = false;
    const recorded: RecordedRequest = {
      method: request.method,
      path: url.pathname + url.search,
      headers: Object.fromEntries(request.headers),
      body,
      ...(frame === undefined ? {} : { frame }),
      at,
      status: () => status,
      aborted: () => wasAborted,
    };
    keep(this.requests, recorded);
    return {
      request: recorded,
      setStatus: (value) => {
        status = value;
      },
      markAborted: () => {
        wasAborted = true;
      },
    };
  }

  refuse(refusal: RecordedRefusal): void {
    keep(this.refusals, refusal);
  }
}

function keep<T>(list: T[], entry: T): void {
  list.push(entry);
  if (list.length > MAX_KEPT) list.shift();
}
