import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { RelayError } from "../../src/lib/errors.ts";
import { openTunnel } from "../../src/upstream/tunnel.ts";
import { certificate } from "../support/certificate.ts";
import { startDetour } from "../support/detour.ts";
import { holdClosedPort } from "../support/ports.ts";

const folder = mkdtempSync(join(tmpdir(), "plansocket-tunnel-"));
const never = new AbortController().signal;
let plain: Bun.Server<undefined>;
let secure: Bun.Server<undefined>;
let ca = "";

beforeAll(() => {
  const tls = certificate(folder, ["chatgpt.com", "localhost"]);
  ca = readFileSync(tls.authority, "utf8");
  const fetch = () => new Response("hello");
  plain = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  secure = Bun.serve({ hostname: "127.0.0.1", port: 0, tls: { key: tls.key, cert: tls.cert }, fetch });
});
afterAll(async () => {
  await plain.stop(true);
  await secure.stop(true);
  rmSync(folder, { recursive: true, force: true });
});

/** What the other end answers to a plain GET. */
async function get(connection: Duplex): Promise<string> {
  connection.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  let text = "";
  for await (const chunk of connection) text += String(chunk);
  return text;
}

async function failure(opening: Promise<unknown>): Promise<RelayError> {
  return opening.then(
    () => {
      throw new Error("It was opened.");
    },
    (error: unknown) => error as RelayError,
  );
}

describe("a connection that goes", () => {
  test("straight reaches its port", async () => {
    expect(await get(await openTunnel(`ws://127.0.0.1:${plain.port}`, undefined, never))).toContain("hello");
  });

  test("straight with TLS checks the certificate", async () => {
    const url = `wss://localhost:${secure.port}`;
    expect(await get(await openTunnel(url, undefined, never, { ca }))).toContain("hello");
    const error = await failure(openTunnel(url, undefined, never));
    expect(error.code).toBe("upstream_unreachable");
    expect(error.hint).toContain("NODE_EXTRA_CA_CERTS");
  });

  test("through a proxy reaches names that only the proxy knows, with TLS to the end", async () => {
    const detour = startDetour(secure.port ?? 0);
    try {
      const connection = await openTunnel("wss://chatgpt.com/x", detour.url, never, { ca });
      expect(await get(connection)).toContain("hello");
    } finally {
      detour.stop();
    }
  });

  test("through a proxy that refuses says so, with the proxy's status and without its password", async () => {
    const proxy = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") },
    });
    const error = await failure(openTunnel("wss://chatgpt.com", `http://me:secret@127.0.0.1:${proxy.port}`, never));
    proxy.stop(true);
    expect(error.message).toContain("407");
    expect(error.hint).toContain("USER:PASSWORD");
    expect(error.message).not.toContain("secret");
  });

  test.each(["SSH-2.0-x\r\n\r\n", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}`])(
    "through what is no HTTP proxy says so, and is closed: %#",
    async (answer) => {
      const closed = Promise.withResolvers<void>();
      const proxy = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: (socket) => void socket.write(answer), close: () => closed.resolve() },
      });
      const error = await failure(openTunnel("wss://chatgpt.com", `http://127.0.0.1:${proxy.port}`, never));
      expect(error.message).toContain("through the proxy");
      expect(error.hint).toContain("Something other than HTTP answers there");
      await closed.promise;
      proxy.stop(true);
    },
  );

  test("nowhere is told as unreachable", async () => {
    await using closed = await holdClosedPort();
    expect((await failure(openTunnel(`ws://127.0.0.1:${closed.port}`, undefined, never))).code).toBe(
      "upstream_unreachable",
    );
  });

  test("to a silent end is given up with its caller", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    const leaving = new AbortController();
    const opening = openTunnel("wss://chatgpt.com", `http://127.0.0.1:${silent.port}`, leaving.signal);
    leaving.abort(new Error("gone"));
    expect((await failure(opening)).message).toBe("gone");
    silent.stop(true);
  });
});
