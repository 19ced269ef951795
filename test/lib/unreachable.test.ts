import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unreachable } from "../../src/lib/unreachable.ts";
import { certificate } from "../support/certificate.ts";

/** What `fetch` throws, in the relay's words. */
async function told(url: string, init: object = {}, proxy?: string): Promise<string> {
  const thrown: unknown = await fetch(url, { ...init, ...(proxy ? { proxy } : {}) }).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Error);
  const { message, hint, code } = unreachable(thrown, "host", proxy && "the proxy's address");
  expect(code).toBe("upstream_unreachable");
  return `${message} ${hint}`;
}

const inspected =
  "If your network inspects TLS, save its authority's certificate as a PEM file and start with NODE_EXTRA_CA_CERTS=FILE.pem.";

test("a timeout says so", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const signal = AbortSignal.timeout(20);
  expect(await told(`http://127.0.0.1:${silent.port}`, { signal })).toStartWith(
    "host could not be reached (no answer in time). Check your network;",
  );
  silent.stop(true);
});

test("something other than HTTP or TLS on the port", async () => {
  const web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const other = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end("SSH-2.0-server\r\n") },
  });
  expect(await told(`https://127.0.0.1:${web.port}`)).toBe(
    "host could not be reached (EPROTO). No TLS is spoken there: check the address, its https:// and its port.",
  );
  expect(await told(`http://127.0.0.1:${other.port}`)).toBe(
    "host could not be reached (Malformed_HTTP_Response). " +
      "Something other than HTTP answers there: check the address and its port.",
  );
  await web.stop(true);
  other.stop(true);
});

describe.skipIf(!Bun.which("openssl"))("a certificate", () => {
  let folder: string;
  let trusted: string;
  let server: ReturnType<typeof Bun.serve>;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plansocket-unreachable-"));
    const { cert, key, authority } = certificate(folder, ["other.example"]);
    trusted = readFileSync(authority, "utf8");
    server = Bun.serve({ hostname: "127.0.0.1", port: 0, tls: { cert, key }, fetch: () => new Response() });
  });
  afterAll(async () => {
    await server.stop(true);
    rmSync(folder, { recursive: true });
  });

  test("of an unknown authority", async () => {
    expect(await told(`https://127.0.0.1:${server.port}`)).toBe(
      `host could not be reached (UNABLE_TO_VERIFY_LEAF_SIGNATURE). ${inspected}`,
    );
  });

  test("for another name", async () => {
    expect(await told(`https://127.0.0.1:${server.port}`, { tls: { ca: trusted } })).toBe(
      "host could not be reached (ERR_TLS_CERT_ALTNAME_INVALID). The certificate is for another name: " +
        "check the address, and whether the network sends you to a page of its own.",
    );
  });
});

test.each(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"])("%s points to the clock first", (code) => {
  const { hint } = unreachable(Object.assign(new Error(), { code }), "host", undefined);
  expect(hint).toBe(
    "The certificate is not valid today: check this machine's clock, then ask whoever runs that server.",
  );
});
