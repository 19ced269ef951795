/** A backend whose every answer the test writes itself. For answers of the usual kind use the stand-in of `demo`. */
export interface FakeCodex {
  readonly baseUrl: string;
  /** Bodies of the requests to /responses, in order. */
  readonly bodies: Record<string, unknown>[];
  readonly headers: Headers[];
  /** Requests to /responses whose client has left. */
  readonly aborted: () => number;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

type Answer = (body: Record<string, unknown>, request: Request) => Response | Promise<Response>;

/** Answers in order; the last one serves all further requests. */
export function fakeCodex(...answers: Answer[]): FakeCodex {
  const bodies: Record<string, unknown>[] = [];
  const headers: Headers[] = [];
  let aborted = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      // Speaks HTTP alone.
      if (request.headers.get("upgrade") !== null) return new Response("Upgrade Required", { status: 426 });
      if (!new URL(request.url).pathname.endsWith("/responses")) {
        return Response.json({ models: MODELS }, { headers: { etag: 'W/"1"' } });
      }
      request.signal.addEventListener("abort", () => (aborted += 1));
      const answer = answers[Math.min(bodies.length, answers.length - 1)];
      const body = (await request.json()) as Record<string, unknown>;
      bodies.push(body);
      headers.push(request.headers);
      return answer ? answer(body, request) : new Response("nothing scripted", { status: 500 });
    },
  });
  const stop = () => server.stop(true);
  return {
    baseUrl: `http://127.0.0.1:${server.port}/backend-api/codex`,
    bodies,
    headers,
    aborted: () => aborted,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const level = (effort: string) => ({ effort });
/** What /models answers. */
export const MODELS = [
  { slug: "gpt-5.5", visibility: "list", supported_reasoning_levels: ["low", "medium", "high"].map(level) },
  {
    slug: "gpt-6-sol",
    visibility: "list",
    use_responses_lite: true,
    supported_reasoning_levels: ["low", "max"].map(level),
  },
  { slug: "hidden-one", visibility: "hide" },
];

/** An event stream as the backend frames it. */
export function sse(events: object[], headers: Record<string, string> = {}): Response {
  return new Response(frames(events), { headers: { "content-type": "text/event-stream; charset=utf-8", ...headers } });
}

/** An event stream that says `events` and then nothing more, for as long as somebody listens. */
export function sseThenSilence(events: object[], onCancel: () => void = () => {}): Response {
  return new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(frames(events))),
      cancel: onCancel,
    }),
    { headers: { "content-type": "text/event-stream" } },
  );
}

/** A refusal. */
export function refuses(status: number, body: object | string, headers: Record<string, string> = {}): Answer {
  return () =>
    typeof body === "string"
      ? new Response(body, { status, headers: { "content-type": "text/html", ...headers } })
      : Response.json(body, { status, headers });
}

/** Events as the backend frames them. */
export function frames(events: object[]): string {
  return events
    .map((event) => `event: ${(event as { type: string }).type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");
}

export const created = {
  type: "response.created",
  sequence_number: 0,
  response: {
    id: "resp_1",
    object: "response",
    created_at: 1_700_000_000,
    model: "gpt-5.5",
    status: "in_progress",
    output: [],
  },
};

export const delta = (text: string) => ({
  type: "response.output_text.delta",
  item_id: "msg_1",
  output_index: 0,
  content_index: 0,
  delta: text,
});

export const completed = {
  type: "response.completed",
  response: {
    id: "resp_1",
    object: "response",
    created_at: 1_700_000_000,
    model: "gpt-5.5",
    status: "completed",
    output: [],
    usage: { input_tokens: 3, output_tokens: 1, total_tokens: 4 },
  },
};

/** The shortest good answer. */
export const says = (text: string) => () => sse([created, delta(text), completed]);

export const failed = (code: string, message: string) => ({
  type: "response.failed",
  response: { id: "resp_1", status: "failed", error: { code, message }, output: [] },
});
