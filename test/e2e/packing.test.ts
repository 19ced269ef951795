import { expect, test } from "bun:test";
import { createEgress, type Egress } from "../../src/upstream/egress.ts";
import { startStandIn } from "../stand-in/backend.ts";
import { fixedCredentials, startTestRelay } from "../support/relay.ts";

const CODEX = "https://chatgpt.com/backend-api/codex";

/** Requests to the Codex backend end at a stand-in; `refuse` answers some of them in its place. */
function startRoad(refuse: (encoding: string | null) => Response | undefined = () => undefined) {
  const backend = startStandIn();
  const { accessToken, accountId } = backend.issueLogin();
  const sent: { encoding: string | null; size: number }[] = [];
  const egress: Egress = {
    async fetch(url, init) {
      const encoding = new Headers(init?.headers).get("content-encoding");
      const isRequest = url.endsWith("/responses");
      if (isRequest)
        sent.push({ encoding, size: await new Response(init?.body).arrayBuffer().then((b) => b.byteLength) });
      const refusal = isRequest ? refuse(encoding) : undefined;
      return refusal ?? fetch(url.replace(CODEX, backend.baseUrl), init);
    },
    connect: createEgress({ proxy: undefined, noProxy: "" }).connect,
    proxyFor: () => undefined,
  };
  const start = (baseUrl: string) =>
    startTestRelay({
      baseUrl,
      egress,
      upstream: { transport: "http" },
      credentials: fixedCredentials({ accessToken, accountId }),
    });
  return { start, sent, backend, [Symbol.asyncDispose]: () => backend.stop() };
}

async function ask(url: string, length: number): Promise<string> {
  const content = `${"All work and no play. ".repeat(Math.ceil(length / 22))} Say exactly: packed`;
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content }] }),
  });
  expect(response.status).toBe(200);
  return response.text();
}

test("long requests go to the Codex backend packed, short ones as they are", async () => {
  await using road = startRoad();
  await using relay = road.start(CODEX);
  expect(await ask(relay.url, 100)).toContain("chat.completion");
  expect(await ask(relay.url, 100_000)).toContain("chat.completion");
  expect(road.sent.map(({ encoding }) => encoding)).toEqual([null, "zstd"]);
  expect(road.sent[1]?.size).toBeLessThan(10_000);
  // The stand-in read what was sent.
  expect(road.backend.refusals).toEqual([]);
});

test("another backend gets them as they are", async () => {
  await using road = startRoad();
  await using relay = road.start(road.backend.baseUrl);
  await ask(relay.url, 100_000);
  expect(road.sent.map(({ encoding }) => encoding)).toEqual([null]);
});

test.each([
  [415, "Unsupported Media Type"],
  [400, "Could not decode the request body"],
  [422, "JSON decode error"],
])(
  "a backend that answers %i to a packed request is asked again without, and never packed for again",
  async (status, detail) => {
    await using road = startRoad((encoding) => (encoding === null ? undefined : Response.json({ detail }, { status })));
    await using relay = road.start(CODEX);
    const [one, two] = await Promise.all([ask(relay.url, 50_000), ask(relay.url, 50_000)]);
    expect(one).toContain("chat.completion");
    expect(two).toContain("chat.completion");
    await ask(relay.url, 50_000);
    const encodings = road.sent.map(({ encoding }) => encoding);
    expect(encodings).toContain("zstd");
    expect(encodings.filter((encoding) => encoding === null)).toHaveLength(3);
    expect(encodings.at(-1)).toBeNull();
  },
);

test("a refusal of what was packed is the client's to see", async () => {
  await using road = startRoad(() => Response.json({ detail: "Unsupported parameter: input" }, { status: 400 }));
  await using relay = road.start(CODEX);
  const response = await fetch(`${relay.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5.5", input: "x".repeat(50_000) }),
  });
  expect(response.status).toBe(400);
  expect(road.sent.map(({ encoding }) => encoding)).toEqual(["zstd"]);
});
