import { afterEach, describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { RelayError } from "../../../src/lib/errors.ts";
import { BackendSocket } from "../../../src/upstream/transport/backend-socket.ts";
import { shakeHands, type Upgraded } from "../../../src/upstream/transport/handshake.ts";
import { openTunnel } from "../../../src/upstream/tunnel.ts";

const never = new AbortController().signal;
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

interface Request {
  readonly text: string;
  readonly key: string;
  readonly socket: Socket<{ text: string }>;
}

/** A server that answers by hand, once the whole request has come. */
function server(answer: (request: Request) => void) {
  const seen = { requests: [] as string[], closed: Promise.withResolvers<void>() };
  const listener = Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void (socket.data = { text: "" }),
      data(socket, chunk) {
        socket.data.text += chunk.toString("latin1");
        const { text } = socket.data;
        if (!text.endsWith("\r\n\r\n")) return;
        seen.requests.push(text);
        answer({ text, key: /sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? "", socket });
      },
      close: () => seen.closed.resolve(),
    },
  });
  stops.push(() => listener.stop(true));
  const handshake = {
    url: `ws://127.0.0.1:${listener.port}/responses?a=b`,
    headers: { authorization: "Bearer token", "OpenAI-Beta": "responses_websockets=2026-02-06" },
    connect: (url: string, signal: AbortSignal) => openTunnel(url, undefined, signal),
    timeoutMs: 5000,
    now: () => 1_000_000,
  };
  return { seen, handshake };
}

const acceptOf = (key: string) =>
  new Bun.CryptoHasher("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
const agreement = (key: string, ...more: string[]) =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: WebSocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
    ...more,
  ].join("\r\n") + "\r\n\r\n";

async function failure(opening: Promise<unknown>): Promise<RelayError> {
  const error = await opening.then(
    () => new Error("It was opened."),
    (thrown: unknown) => thrown,
  );
  if (error instanceof RelayError) return error;
  throw error;
}

/** In pieces of so many bytes, each in its own turn of the event loop. */
async function inPieces(socket: Request["socket"], text: string, size: number): Promise<void> {
  for (let at = 0; at < text.length; at += size) {
    socket.write(Buffer.from(text.slice(at, at + size), "latin1"));
    socket.flush();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a handshake that is agreed to", () => {
  test("is asked for as RFC 6455 has it, with the caller's headers and an offer to compress", async () => {
    const { seen, handshake } = server(({ key, socket }) => void socket.write(agreement(key, "X-State: one")));
    const { connection, headers } = await shakeHands(handshake, never);
    connection.destroy();
    expect(headers.get("x-state")).toBe("one");
    const [line, ...rest] = (seen.requests[0] ?? "").trimEnd().split("\r\n");
    expect(line).toBe("GET /responses?a=b HTTP/1.1");
    const names = new Headers(rest.map((header) => header.split(": ") as [string, string]));
    expect(names.get("host")).toBe(new URL(handshake.url).host);
    expect(names.get("upgrade")).toBe("websocket");
    expect(names.get("connection")).toBe("Upgrade");
    expect(names.get("sec-websocket-version")).toBe("13");
    expect(Buffer.from(names.get("sec-websocket-key") ?? "", "base64").length).toBe(16);
    expect(names.get("sec-websocket-extensions")).toBe("permessage-deflate; client_max_window_bits");
    expect(names.get("authorization")).toBe("Bearer token");
    expect(names.get("openai-beta")).toBe("responses_websockets=2026-02-06");
  });

  test.each([1, 7, 1000])("may come in pieces of %d bytes, after interim replies", async (size) => {
    const { handshake } = server(
      ({ key, socket }) =>
        void inPieces(socket, `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${agreement(key, "X-State: two")}`, size),
    );
    const { connection, headers } = await shakeHands(handshake, never);
    connection.destroy();
    expect(headers.get("x-state")).toBe("two");
    expect(headers.has("link")).toBe(false);
  });

  test("loses no frame that comes in one packet with it", async () => {
    const event = JSON.stringify({ type: "response.created", response: { id: "resp_1" } });
    const done = JSON.stringify({ type: "response.completed", response: { id: "resp_1", output: [] } });
    const frames = [event, done].map((text) => String.fromCharCode(0x81, text.length) + text).join("");
    const { handshake } = server(
      ({ key, socket }) => void socket.write(Buffer.from(agreement(key) + frames, "latin1")),
    );
    const socket = BackendSocket.over(await shakeHands(handshake, never), handshake.now);
    const reply = socket.request({ type: "response.create" }, { handsOnErrors: false, signal: never });
    const types: string[] = [];
    for (let batch = await reply.next(); batch; batch = await reply.next())
      types.push(...batch.map(({ type }) => type));
    expect(types).toEqual(["response.created", "response.completed"]);
    socket.close();
  });

  test.each([
    ["another digest", (key: string) => agreement(key).replace(acceptOf(key), acceptOf("another"))],
    ["another protocol", (key: string) => agreement(key).replace("WebSocket", "h2c")],
    ["a subprotocol that nobody offered", (key: string) => agreement(key, "Sec-WebSocket-Protocol: chat")],
  ])("to %s is none", async (_, answer) => {
    const { seen, handshake } = server(({ key, socket }) => void socket.write(answer(key)));
    expect((await failure(shakeHands(handshake, never))).code).toBe("upstream_unreachable");
    await seen.closed.promise;
  });

  test.each([
    "x-webkit-deflate-frame",
    "permessage-deflate; server_max_window_bits=99",
    "permessage-deflate, foo",
    "=,",
  ])("with the extension '%s' is none", async (extension) => {
    const { seen, handshake } = server(
      ({ key, socket }) => void socket.write(agreement(key, `Sec-WebSocket-Extensions: ${extension}`)),
    );
    const upgraded = await shakeHands(handshake, never);
    expect(overFails(upgraded)).toBe("upstream_unreachable");
    await seen.closed.promise;
  });

  test("over a connection that has ended meanwhile is none", async () => {
    const { handshake } = server(({ key, socket }) => void socket.write(agreement(key)));
    const upgraded = await shakeHands(handshake, never);
    upgraded.connection.destroy();
    expect(overFails(upgraded)).toBe("upstream_unreachable");
  });
});

function overFails(upgraded: Upgraded): string {
  try {
    BackendSocket.over(upgraded, () => 0);
  } catch (error) {
    return error instanceof RelayError ? error.code : String(error);
  }
  return "opened";
}

describe("a handshake that is refused", () => {
  const body = JSON.stringify({ error: { message: "Zurückgewiesen", code: "usage_limit_reached" } });
  const bytes = Buffer.from(body).toString("latin1");
  const head = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n";
  const half = bytes.length >> 1;
  const chunks = [bytes.slice(0, half), bytes.slice(half)].map(
    (part) => `${part.length.toString(16)};x=y\r\n${part}\r\n`,
  );
  const FORMS = {
    "with its length": `${head}Content-Length: ${bytes.length}\r\n\r\n${bytes}`,
    "in chunks": `${head}Transfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\nX-Trailer: z\r\n\r\n`,
  };

  for (const [form, text] of Object.entries(FORMS)) {
    test.each([1, 13, 4096])(`is the failure of that reply: ${form}, in pieces of %d bytes`, async (size) => {
      const { seen, handshake } = server(({ socket }) => void inPieces(socket, text, size));
      const error = await failure(shakeHands(handshake, never));
      expect(error.upstreamBody?.status).toBe(429);
      expect(error.message).toContain("Zurückgewiesen");
      expect(error.retryAfterMs).toBe(7000);
      // The server keeps it open; nothing here does.
      await seen.closed.promise;
    });
  }

  test("is the failure of that reply: up to the end of the connection", async () => {
    const { handshake } = server(({ socket }) => void socket.end(Buffer.from(`${head}\r\n${bytes}`, "latin1")));
    const error = await failure(shakeHands(handshake, never));
    expect(error.message).toContain("Zurückgewiesen");
  });

  test.each([
    "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0 426 Upgrade Required\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ])("needs no body: %j", async (text) => {
    const { handshake } = server(({ socket }) => void socket.write(text));
    expect((await failure(shakeHands(handshake, never))).upstreamBody?.status).toBe(Number(text.slice(9, 12)));
  });

  test("has no body with 204, whatever its headers say", async () => {
    const { seen, handshake } = server(
      ({ socket }) => void socket.write("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n"),
    );
    expect((await failure(shakeHands(handshake, never))).message).toContain("204");
    await seen.closed.promise;
  });

  test("is not read without end", async () => {
    const { seen, handshake } = server(({ socket }) => {
      socket.write("HTTP/1.1 403 Forbidden\r\n\r\n");
      const page = "x".repeat(16 * 1024);
      for (let count = 0; count < 32; count += 1) socket.write(page);
    });
    expect((await failure(shakeHands(handshake, never))).upstreamBody?.status).toBe(403);
    await seen.closed.promise;
  });

  test("is known by its status though its body breaks off", async () => {
    const { handshake } = server(({ socket }) => void socket.end("HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n{"));
    expect((await failure(shakeHands(handshake, never))).code).toBe("upstream_unauthorized");
  });
});

describe("what is no handshake", () => {
  test.each(["SSH-2.0-x\r\n\r\n", "\r\n\r\n", "HTTP/2 200\r\n\r\n", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}`])(
    "is told as unreachable: %#",
    async (text) => {
      const { seen, handshake } = server(({ socket }) => void socket.write(text));
      const error = await failure(shakeHands(handshake, never));
      expect(error.code).toBe("upstream_unreachable");
      expect(error.hint).toContain("Something other than HTTP answers there");
      await seen.closed.promise;
    },
  );

  test("an end instead of an answer is told as unreachable", async () => {
    const { handshake } = server(({ socket }) => void socket.end());
    expect((await failure(shakeHands(handshake, never))).code).toBe("upstream_unreachable");
  });

  test("headers that HTTP cannot carry are not sent", async () => {
    const { seen, handshake } = server(({ key, socket }) => void socket.write(agreement(key)));
    const headers = { "x-bad": "one\r\nx-two: two" };
    expect((await failure(shakeHands({ ...handshake, headers }, never))).code).toBe("upstream_unreachable");
    expect(seen.requests).toEqual([]);
  });
});

describe("a handshake that takes too long", () => {
  const SILENT = {
    "for its answer": "",
    "within its head": "HTTP/1.1 101 Switching\r\n",
    "within a refusal": "HTTP/1.1 429 No\r\nContent-Length: 100\r\n\r\n{",
  };
  for (const [where, text] of Object.entries(SILENT)) {
    test(`${where} is a timeout, and its connection is closed`, async () => {
      const { seen, handshake } = server(({ socket }) => void socket.write(text));
      expect((await failure(shakeHands({ ...handshake, timeoutMs: 20 }, never))).code).toBe("upstream_timeout");
      await seen.closed.promise;
    });

    test(`${where} ends with its caller`, async () => {
      const leaving = new AbortController();
      const { seen, handshake } = server(({ socket }) => {
        socket.write(text);
        setImmediate(() => leaving.abort(new RelayError("client_closed", "gone")));
      });
      expect((await failure(shakeHands(handshake, leaving.signal))).code).toBe("client_closed");
      await seen.closed.promise;
    });
  }

  for (const [where, status] of [
    ["an agreement", "101 Switching Protocols"],
    ["a refusal", "403 Forbidden"],
  ] as const) {
    test(`ends with its caller right behind the head of ${where}`, async () => {
      const leaving = new AbortController();
      const { seen, handshake } = server(({ key, socket }) => {
        const more = status.startsWith("101")
          ? agreement(key).split("\r\n").slice(1).join("\r\n")
          : "Content-Length: 9\r\n\r\n{";
        socket.write(`HTTP/1.1 ${status}\r\n${more}`);
      });
      const connect = async (url: string, signal: AbortSignal) => {
        const connection = await handshake.connect(url, signal);
        connection.on("data", () => queueMicrotask(() => leaving.abort(new RelayError("client_closed", "gone"))));
        connection.pause();
        return connection;
      };
      const error = await failure(shakeHands({ ...handshake, connect }, leaving.signal));
      expect(error.code).toBe("client_closed");
      await seen.closed.promise;
    });
  }
});
