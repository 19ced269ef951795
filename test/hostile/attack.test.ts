import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { lstatSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { Account } from "./report.ts";

const KEY = "correct-horse-battery-staple";

let demo: DemoRelay;
let account: Account;
beforeAll(async () => {
  start();
  await send("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  await demo.stop();
  // What Bun opens once and for all is open by now.
  account = new Account("requests of an attacker");
  start();
});
afterAll(async () => {
  await demo.stop();
  await account.close();
});

function start(): void {
  demo = startDemoRelay({ relay: { apiKey: KEY, maxBodyBytes: 4 * 1024 * 1024 } });
}
beforeEach(() => account.tried());

/** Everything that the relay says to these bytes before it closes, or until it has been silent for a while. */
function send(bytes: string, quietMs = 400, drop = ""): Promise<string> {
  return sendTo((onOpen) => connect(demo.relay.port, "127.0.0.1", onOpen), bytes, quietMs, drop);
}

/** The same over any connection. */
function sendTo(open: (onOpen: () => void) => Socket, bytes: string, quietMs = 400, drop = ""): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = open(() => socket.write(bytes));
  let quiet = setTimeout(() => socket.destroy(), quietMs);
  const drops = drop === "" ? undefined : setInterval(() => socket.write(drop), 5000);
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    clearTimeout(quiet);
    quiet = setTimeout(() => socket.destroy(), quietMs);
  });
  socket.on("error", () => resolve(text));
  socket.on("close", () => {
    clearTimeout(quiet);
    clearInterval(drops);
    resolve(text);
  });
  return promise;
}

const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
const body = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "spend" }] });
const head = (lines: readonly string[]) => `${lines.join("\r\n")}\r\n\r\n`;
const good = [`Host: 127.0.0.1`, `Authorization: Bearer ${KEY}`, "Content-Type: application/json"];
/** A request that must not be taken for the second one on its connection. */
const smuggled = `${head(["POST /v1/chat/completions HTTP/1.1", ...good, `Content-Length: ${body.length}`])}${body}`;

describe("requests that proxies and servers may read differently", () => {
  test.each<[string, readonly string[]]>([
    ["two lengths", ["Content-Length: 6", "Content-Length: 5"]],
    ["a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"]],
    ["chunks spelled oddly", ["Transfer-Encoding: xchunked"]],
    ["chunks after a space", ["Transfer-Encoding : chunked"]],
    ["chunks twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]],
    ["a negative length", ["Content-Length: -1"]],
    ["a length with a plus", ["Content-Length: +5"]],
    ["a length in hexadecimal", ["Content-Length: 0x5"]],
    ["a folded header", ["X-A: b", " Transfer-Encoding: chunked"]],
  ])("%s", async (_case, lines) => {
    const before = demo.backend.counts.responses;
    const text = await send(
      `${head(["POST /v1/chat/completions HTTP/1.1", "Host: 127.0.0.1", ...lines])}0\r\n\r\n${smuggled}`,
    );
    // Refused, and the connection closed: nothing behind it is read as a request of its own.
    expect(statuses(text).every((status) => status >= 400 && status < 500)).toBe(true);
    expect(statuses(text).length).toBeLessThanOrEqual(1);
    expect(demo.backend.counts.responses).toBe(before);
  });

  test.each<[string, string]>([
    ["a length that is no hexadecimal", "zz\r\nhello\r\n0\r\n\r\n"],
    ["a length that is negative", "-5\r\nhello\r\n0\r\n\r\n"],
    ["more than it announces", "3\r\nhello\r\n0\r\n\r\n"],
  ])("a chunk with %s", async (_case, chunks) => {
    const before = demo.backend.counts.responses;
    const text = await send(
      `${head(["POST /v1/chat/completions HTTP/1.1", ...good, "Transfer-Encoding: chunked"])}${chunks}${smuggled}`,
    );
    expect(statuses(text).every((status) => status === 400)).toBe(true);
    expect(demo.backend.counts.responses).toBe(before);
  });
});

describe("odd request lines", () => {
  test.each<[string, number]>([
    ["GET //v1/models HTTP/1.1", 404],
    ["GET /v1//models HTTP/1.1", 404],
    ["GET /v1/models/ HTTP/1.1", 404],
    ["GET /%2fv1/models HTTP/1.1", 404],
    ["GET /v1%2fmodels HTTP/1.1", 404],
    ["GET /v1/../health HTTP/1.1", 200],
    ["GET /v1/models/..%2f..%2fhealth HTTP/1.1", 404],
    ["GET /v1/models/%ff%fe HTTP/1.1", 404],
    ["GET /v1/models/%00 HTTP/1.1", 404],
    ["GET http://page.example/v1/models HTTP/1.1", 200],
    ["GET /v1/models?key=%E0%A4%A HTTP/1.1", 200],
    ["TRACE /v1/models HTTP/1.1", 405],
    ["CONNECT page.example:443 HTTP/1.1", 404],
    ["PROPFIND /v1/models HTTP/1.1", 405],
    ["DELETE /health HTTP/1.1", 405],
  ])("%s", async (line, status) => {
    const text = await send(head([line, ...good]));
    const [first] = statuses(text);
    // Some never get past the server's own parser; none gets further than it says.
    expect([status, 400, 501]).toContain(first ?? 0);
    expect(text).not.toContain(KEY);
    expect(text).not.toMatch(/\.ts:\d+/);
  });

  test("nothing that a caller writes comes back as a header of its own", async () => {
    const text = await send(
      head([
        "OPTIONS /v1/models HTTP/1.1",
        "Host: 127.0.0.1",
        "Origin: http://127.0.0.1",
        "Access-Control-Request-Headers: a%0d%0aSet-Cookie: x=1",
      ]),
    );
    expect(text).not.toMatch(/^set-cookie/im);
    const refused = await send(head(["GET /v1/models HTTP/1.1", "Host: page.example\u001b[2J"]));
    expect(refused).not.toContain("\u001b");
  });
});

describe("claims about who asks, and for which host", () => {
  const claims = (host: string): Record<string, string> => ({
    "X-Forwarded-Host": host,
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/v1",
    "X-Real-IP": "127.0.0.1",
    Forwarded: `for=127.0.0.1;host=${host};proto=https`,
  });
  const asked = (headers: Record<string, string>, way = "/v1/models") =>
    send(
      head([
        `GET ${way} HTTP/1.1`,
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
        "Connection: close",
      ]),
    );

  test("from an address that nobody named open no door: neither a host's, nor a key's, nor a page's", async () => {
    expect(
      statuses(await asked({ Host: "page.example", Authorization: `Bearer ${KEY}`, ...claims("localhost") })),
    ).toEqual([403]);
    expect(statuses(await asked({ Host: "127.0.0.1", ...claims("localhost") }))).toEqual([401]);
    const origin = { Origin: "https://page.example", "Sec-Fetch-Site": "cross-site" };
    const lured = { Host: "127.0.0.1", Authorization: `Bearer ${KEY}`, ...origin, ...claims("page.example") };
    expect(statuses(await asked(lured))).toEqual([403]);
    // And they change nothing for whoever may come in: the path is the one that was asked for.
    expect(
      statuses(await asked({ Host: "127.0.0.1", Authorization: `Bearer ${KEY}`, ...claims("page.example") })),
    ).toEqual([200]);
    expect(
      statuses(await asked({ Host: "127.0.0.1", Authorization: `Bearer ${KEY}`, ...claims("x") }, "/models")),
    ).toEqual([200]);
  });

  test.each([
    ["X-Forwarded-Host: localhost\r\nX-Forwarded-Host: page.example"],
    ["X-Forwarded-Host: localhost, page.example"],
    ['Forwarded: host="localhost";host="page.example"'],
    [`Forwarded: host=${"a".repeat(8000)}`],
    [`X-Forwarded-For: ${"1.1.1.1,".repeat(1500)}`],
    ["X-Forwarded-Prefix: //page.example/..\r\nX-Forwarded-Proto: javascript"],
  ])("even a trusted address gets no other page in by %s", async (lines) => {
    const trusting = startDemoRelay({ relay: { apiKey: KEY, trustProxies: ["loopback"] } });
    const before = demo;
    demo = trusting;
    try {
      const text = await send(
        head(["GET /page/enter?code=no HTTP/1.1", "Host: page.example", lines, "Connection: close"]),
      );
      expect(statuses(text).every((status) => status >= 400 && status < 500)).toBe(true);
      expect(text).not.toContain("Location: //");
      const keyless = await send(head(["GET /v1/models HTTP/1.1", "Host: 127.0.0.1", lines, "Connection: close"]));
      expect(statuses(keyless).every((status) => status === 401 || status === 403)).toBe(true);
    } finally {
      demo = before;
      await trusting.stop();
    }
  });
});

describe.skipIf(process.platform === "win32")("at a Unix socket", () => {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-attack-"));
  const path = join(folder, "relay.sock");
  let relay: DemoRelay;
  beforeAll(() => {
    relay = startDemoRelay({ relay: { apiKey: KEY, host: "localhost", unix: path, maxBodyBytes: 4 * 1024 * 1024 } });
  });
  afterAll(async () => {
    await relay.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const knock = async (bytes: string) => statuses(await sendTo((onOpen) => connect(path, onOpen), bytes));

  test("no other user's program has a way in, from its first moment", () => {
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
  });

  test.each<[string, readonly string[], number[]]>([
    ["without a key", ["GET /v1/models HTTP/1.1", "Host: localhost"], [401]],
    ["as another host", ["GET /v1/models HTTP/1.1", "Host: page.example", `Authorization: Bearer ${KEY}`], [403]],
    ["as a page of another site", ["GET /v1/models HTTP/1.1", ...good, "Origin: https://page.example"], [403]],
    [
      "as another host that a header takes for ours",
      ["GET /v1/models HTTP/1.1", "Host: page.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"],
      [403],
    ],
    [
      "with two lengths",
      ["POST /v1/chat/completions HTTP/1.1", ...good, "Content-Length: 6", "Content-Length: 5"],
      [400],
    ],
    [
      "with a body beyond the limit",
      ["POST /v1/chat/completions HTTP/1.1", ...good, "Content-Length: 99999999"],
      [413],
    ],
    ["as itself", ["GET /v1/models HTTP/1.1", ...good], [200]],
  ])("whoever comes %s gets what everybody gets", async (_how, lines, expected) => {
    expect(await knock(head([...lines, "Connection: close"]))).toEqual(expected);
  });

  test("what hides behind a request is no request of its own", async () => {
    const first = head([
      "POST /v1/chat/completions HTTP/1.1",
      ...good,
      "Content-Length: 2",
      "Transfer-Encoding: chunked",
    ]);
    expect((await knock(`${first}${smuggled}`)).filter((status) => status === 200)).toEqual([]);
  });
});

describe("at each of several addresses", () => {
  let relay: DemoRelay;
  beforeAll(() => {
    relay = startDemoRelay({ relay: { apiKey: KEY, otherHosts: ["127.0.0.2", "::1"] } });
  });
  afterAll(() => relay.stop());
  const OWN = ["127.0.0.1", "127.0.0.2", "::1"];
  const knock = async (address: string, lines: readonly string[]) =>
    statuses(
      await sendTo(
        (onOpen) => connect(relay.relay.port, address, onOpen),
        head(["GET /v1/models HTTP/1.1", ...lines, "Connection: close"]),
      ),
    );

  test.each(OWN)("%s asks for the key and for a host of ours, as the first does", async (address) => {
    const key = `Authorization: Bearer ${KEY}`;
    expect(await knock(address, ["Host: localhost"])).toEqual([401]);
    expect(await knock(address, ["Host: page.example", key])).toEqual([403]);
    expect(await knock(address, ["Host: localhost", key, "Origin: https://page.example"])).toEqual([403]);
    expect(await knock(address, ["Host: localhost", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"])).toEqual(
      [401],
    );
    expect(await knock(address, ["Host: localhost", key])).toEqual([200]);
  });

  test.each(OWN)("a page that %s let in has no door at the others", async (address) => {
    const others = OWN.filter((other) => other !== address);
    for (const other of others) {
      const origin = `http://${address.includes(":") ? `[${address}]` : address}:${relay.relay.port}`;
      const host = `Host: ${other.includes(":") ? `[${other}]` : other}:${relay.relay.port}`;
      expect(await knock(other, [host, `Origin: ${origin}`, "Sec-Fetch-Site: cross-site"])).not.toContain(200);
    }
  });
});

describe("around the path that the relay is below", () => {
  let relay: DemoRelay;
  beforeAll(() => {
    relay = startDemoRelay({ relay: { apiKey: KEY, basePath: "/team/relay", trustProxies: ["10.0.0.0/8"] } });
  });
  afterAll(() => relay.stop());

  test.each([
    ["/v1/models"],
    ["/team/v1/models"],
    ["/team/relayv1/models"],
    ["/team/relay/../v1/models"],
    ["/team/relay/%2e%2e/v1/models"],
    ["/team/relay/..%2fv1/models"],
    ["/team//relay/v1/models"],
    ["/TEAM/RELAY/v1/models"],
    ["/team%2frelay/v1/models"],
    ["/team/relay/team/relay/v1/models"],
    ["//team/relay/v1/models"],
    ["/team/relay;/v1/models"],
    ["http://page.example/v1/models"],
  ])("%s is no way in, with a key or without", async (way) => {
    for (const lines of [good, ["Host: 127.0.0.1", "X-Forwarded-Prefix: /team/relay"]]) {
      const line = `GET ${way} HTTP/1.1`;
      const bytes = head([line, ...lines, "Connection: close"]);
      const text = await sendTo((onOpen) => connect(relay.relay.port, "127.0.0.1", onOpen), bytes);
      expect(statuses(text).filter((status) => status < 400)).toEqual([]);
      expect(text).not.toContain(KEY);
    }
  });
});

describe("guessing the key", () => {
  const ask = async (authorization: string | undefined) => {
    const reply = await fetch(`${demo.v1}/models`, { headers: authorization === undefined ? {} : { authorization } });
    const headers = Object.fromEntries([...reply.headers].filter(([name]) => !/^(x-request-id|date)$/.test(name)));
    return { status: reply.status, headers, text: await reply.text() };
  };

  test("every wrong key gets the same answer, however near it is", async () => {
    const [first, ...others] = await Promise.all(
      ["x", KEY.slice(0, -1), `${KEY}x`, KEY.toUpperCase(), "y".repeat(5000), "\u00e9"].map((key) =>
        ask(`Bearer ${key}`),
      ),
    );
    expect(first?.status).toBe(401);
    for (const other of others) expect(other).toEqual(first as typeof other);
  });

  test.each([["Basic abc"], ["Bearer"], ["Bearer  "], [KEY], [`Bearer${KEY}`], [""], [undefined]])(
    "%p is no key",
    async (authorization) => {
      expect((await ask(authorization)).status).toBe(401);
    },
  );

  test.each([[`Bearer ${KEY}`], [`bearer   ${KEY} `]])("%p is", async (authorization) => {
    expect((await ask(authorization)).status).toBe(200);
  });
});

describe("bodies that grow", () => {
  const post = (bytes: Uint8Array<ArrayBuffer>, encoding: string) =>
    fetch(`${demo.v1}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${KEY}`, "content-encoding": encoding, "content-type": "application/json" },
      body: bytes,
    });
  const zeros = Buffer.alloc(256 * 1024 * 1024);

  test.each([
    ["gzip", () => gzipSync(zeros)],
    ["zstd", () => zstdCompressSync(zeros)],
  ])("256 MiB packed as %s are refused before they are unpacked", async (encoding, pack) => {
    const bytes = new Uint8Array(pack());
    expect(bytes.length).toBeLessThan(4 * 1024 * 1024);
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    const reply = await post(bytes, encoding);
    expect(reply.status).toBe(413);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  });

  test.each([["constructor"], ["__proto__"], ["gzip, gzip"], ["compress"]])(
    "the encoding %s is not taken for one",
    async (encoding) => {
      const reply = await post(new TextEncoder().encode(body), encoding);
      expect(reply.status).toBe(415);
      const error = parseJson(await reply.text());
      expect(isObject(error) && isObject(error["error"])).toBe(true);
    },
  );
});

/** Bun ends a connection that stays silent for the relay's 30 seconds; longer than a usual run of tests should wait. */
test.skipIf(!process.env["HOSTILE_LONG"])(
  "whoever sends a header or a body drop by drop is cut off",
  async () => {
    const beginnings = [
      "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A",
      `${head(["POST /v1/chat/completions HTTP/1.1", ...good, "Content-Length: 100"])}{`,
    ];
    const closed = await Promise.all(
      beginnings.flatMap((bytes) =>
        ["", " "].map(async (drop) => {
          const startMs = performance.now();
          await send(bytes, 80_000, drop);
          return performance.now() - startMs;
        }),
      ),
    );
    for (const afterMs of closed) expect(afterMs).toBeLessThan(50_000);
  },
  90_000,
);
