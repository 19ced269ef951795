import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authorities } from "../../src/upstream/authorities.ts";
import { createEgress, type Egress } from "../../src/upstream/egress.ts";
import { certificate } from "../support/certificate.ts";

describe.skipIf(Bun.which("openssl") === null)("authorities of the environment", () => {
  let folder: string;
  let file: string;
  let server: ReturnType<typeof Bun.serve>;
  let authorities: Authorities;
  let egress: Egress;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plansocket-authorities-"));
    const tls = certificate(folder, ["localhost"]);
    file = tls.authority;
    server = Bun.serve({ port: 0, hostname: "127.0.0.1", tls, fetch: () => new Response("ok") });
  });
  beforeEach(() => {
    authorities = new Authorities({ CODEX_CA_CERTIFICATE: file });
    egress = createEgress({ proxy: undefined, noProxy: "", authorities });
  });
  afterAll(async () => {
    await server.stop(true);
    rmSync(folder, { recursive: true, force: true });
  });

  const url = (scheme: string) => `${scheme}://localhost:${server.port}/`;

  test("are read once a certificate asks for them, also for requests that fail together", async () => {
    expect(authorities.trusted).toBeUndefined();
    const replies = await Promise.all([1, 2, 3].map(() => egress.fetch(url("https"))));
    expect(await Promise.all(replies.map((reply) => reply.text()))).toEqual(["ok", "ok", "ok"]);
    expect(authorities.trusted?.length).toBeGreaterThan(1);
  });

  test("are there for a WebSocket that is the first connection", async () => {
    const connection = await egress.connect(url("wss"), AbortSignal.timeout(5000));
    connection.destroy();
    expect(connection.destroyed).toBe(true);
  });
});
