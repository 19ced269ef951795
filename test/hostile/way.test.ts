import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEgress, type Egress } from "../../src/upstream/egress.ts";
import { certificate, type Certificate } from "../support/certificate.ts";
import { holdClosedPort } from "../support/ports.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";
import {
  ask,
  askAll,
  expectFailure,
  expectRecovery,
  FINE,
  goesOn,
  HANG_MS,
  HASTY,
  PATIENT,
  whole,
  type Code,
} from "./ask-all.ts";
import { CLIENTS, type Client, type Understood } from "./dialects.ts";
import { startRawBackend, type RawBackend, type Script } from "./raw-backend.ts";
import { Account } from "./report.ts";
import { startRoad, type Road } from "./road.ts";

/** Known to nobody: only a proxy leads there. */
const NAME = "backend.relay.test";

const hasOpenssl = Bun.which("openssl") !== null;

let folder: string;
let tls: Certificate | undefined;
let account: Account;

/** Everything between a client and its answer. */
interface Scene {
  readonly backend: RawBackend;
  readonly road: Road;
  readonly relay: TestRelay;
}
let scene: Scene | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-way-"));
  if (hasOpenssl) tls = certified("known", [NAME], ["127.0.0.1"]);
  const { relay } = build({ way: "straight" });
  for (const client of CLIENTS) expect(await ask(relay, client)).toMatchObject(FINE);
  await leave();
  // What Bun opens once and for all is open by now.
  account = new Account("faults on the way to the backend");
});
afterEach(leave);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await account.close();
});

function certified(name: string, names: string[], addresses: string[] = []): Certificate {
  const place = join(folder, name);
  mkdirSync(place);
  return certificate(place, names, addresses);
}

interface Plan {
  readonly way: "straight" | "tls" | "proxy";
  readonly isHasty?: boolean;
  readonly shown?: Certificate | undefined;
  readonly trusts?: Certificate | undefined;
  /** A backend that speaks no TLS, called as if it did. */
  readonly isPlain?: boolean;
  /** Another address than the backend's. */
  readonly baseUrl?: string;
}

/** A backend behind a road that can break, and a relay in front of it. */
function build({ way, isHasty, shown = tls, trusts = tls, isPlain = false, baseUrl }: Plan): Scene {
  const backend = startRawBackend(way === "straight" || isPlain ? undefined : shown);
  backend.script = whole;
  const road = startRoad(backend.port, way === "proxy");
  const proxy = way === "proxy" ? `http://127.0.0.1:${road.port}` : undefined;
  const host = way === "proxy" ? NAME : `127.0.0.1:${road.port}`;
  const relay = startTestRelay({
    baseUrl: baseUrl ?? `http${way === "straight" ? "" : "s"}://${host}/backend-api/codex`,
    upstream: isHasty ? HASTY : PATIENT,
    egress: trusting(createEgress({ proxy, noProxy: "" }), trusts),
  });
  scene = { backend, road, relay };
  return scene;
}

function trusting(egress: Egress, certificate: Certificate | undefined): Egress {
  if (!certificate) return egress;
  const ca = readFileSync(certificate.authority, "utf8");
  return { ...egress, fetch: (url, init) => egress.fetch(url, { ...init, tls: { ca } } as RequestInit) };
}

async function leave(): Promise<void> {
  await scene?.relay.stop();
  await scene?.road.stop();
  await scene?.backend.stop();
  scene = undefined;
}

/** Every client meets the fault, and afterwards the way is free again. */
async function strike(
  { relay, backend, road }: Scene,
  script: Script,
  judge: (client: Client, told: Understood) => void,
): Promise<void> {
  backend.script = script;
  await askAll({ relay, backend, account }, judge);
  backend.script = whole;
  road.arrive = (_client, go) => go();
  await expectRecovery(relay);
}

const fails =
  (code: Code, begun = false) =>
  (client: Client, told: Understood): void =>
    expectFailure(client, told, code, begun);

const ARRIVALS: Readonly<Record<string, (client: Socket) => unknown>> = {
  "is cut": (client) => client.end(),
  "is reset": (client) => client.resetAndDestroy(),
};

describe("nobody to talk to", () => {
  test(
    "at a port",
    async () => {
      await using closed = await holdClosedPort();
      const { relay, backend } = build({ way: "straight", baseUrl: `${closed.url}/backend-api/codex` });
      await askAll({ relay, backend, account }, fails("upstream_unreachable"));
    },
    2 * HANG_MS,
  );

  test(
    "by a name",
    async () => {
      const { relay, backend } = build({ way: "straight", baseUrl: "http://backend.invalid/backend-api/codex" });
      await askAll({ relay, backend, account }, fails("upstream_unreachable"));
    },
    2 * HANG_MS,
  );
});

describe.skipIf(!hasOpenssl)("TLS", () => {
  test(
    "is spoken",
    () => strike(build({ way: "tls" }), whole, (_client, told) => expect(told).toMatchObject(FINE)),
    2 * HANG_MS,
  );

  test.each<[string, () => Plan, RegExp]>([
    ["of an authority that nobody trusts", () => ({ way: "tls", trusts: certified("other", [NAME]) }), /CERT|ISSUER/],
    ["for another name", () => named("elsewhere.test"), /ALTNAME/],
    ["that is none", () => ({ way: "tls", isPlain: true }), /could not be reached/],
  ])(
    "%s",
    async (_name, plan, words) => {
      const planned = plan();
      const { relay, backend, road } = build(planned);
      if (planned.isPlain === true) road.arrive = (client) => client.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      await askAll({ relay, backend, account }, (client, told) => {
        expectFailure(client, told, "upstream_unreachable");
        expect(told.message).toMatch(words);
      });
      // Not one byte of a prompt went to whoever that was.
      expect(backend.asked()).toBe(0);
    },
    2 * HANG_MS,
  );

  test.each(Object.entries(ARRIVALS))(
    "whose handshake %s",
    async (_name, arrival) => {
      const built = build({ way: "tls" });
      built.road.arrive = arrival;
      await strike(built, whole, fails("upstream_unreachable"));
    },
    2 * HANG_MS,
  );

  test(
    "whose handshake never ends",
    async () => {
      const built = build({ way: "tls", isHasty: true });
      built.road.arrive = () => {};
      await strike(built, whole, fails("upstream_timeout"));
    },
    2 * HANG_MS,
  );
});

/** A server whose certificate is in order, but for its name. */
function named(name: string): Plan {
  const shown = certified(name, [name]);
  return { way: "tls", shown, trusts: shown };
}

describe.skipIf(!hasOpenssl).each(["tls", "proxy"] as const)("a way of the kind %s that breaks", (way) => {
  test.each(["cut", "reset"] as const)(
    "before the reply (%s)",
    async (how) => {
      const built = build({ way });
      await strike(built, (exchange) => built.road.breakFor(exchange, how), fails("upstream_unreachable"));
    },
    2 * HANG_MS,
  );

  test.each(["cut", "reset"] as const)(
    "in the middle of the reply (%s)",
    async (how) => {
      const built = build({ way });
      const script = goesOn((exchange) => built.road.breakFor(exchange, how));
      await strike(built, script, (client, told) => {
        // Nobody tells when a whole answer has begun: its way may break before that.
        const isEarly = !client.isStreaming && /could not be reached/.test(told.message);
        expectFailure(client, told, isEarly ? "upstream_unreachable" : "upstream_stream_truncated", true);
      });
    },
    2 * HANG_MS,
  );

  test(
    "in silence",
    async () => {
      const built = build({ way, isHasty: true });
      const script = goesOn((exchange) => built.road.breakFor(exchange, "stall"));
      await strike(built, script, fails("upstream_timeout", true));
    },
    2 * HANG_MS,
  );
});

describe.skipIf(!hasOpenssl)("a proxy", () => {
  test(
    "that works",
    () => strike(build({ way: "proxy" }), whole, (_client, told) => expect(told).toMatchObject(FINE)),
    2 * HANG_MS,
  );

  const refuses = (words: string) => (client: Socket) => client.end(`HTTP/1.1 ${words}\r\ncontent-length: 0\r\n\r\n`);

  test.each<[string, (client: Socket) => unknown]>([
    ["dies when it is asked", ARRIVALS["is cut"] ?? (() => {})],
    ["is reset when it is asked", ARRIVALS["is reset"] ?? (() => {})],
    ["refuses", refuses("403 Forbidden")],
    ["wants a password", refuses("407 Proxy Authentication Required")],
    ["finds nobody", refuses("502 Bad Gateway")],
    ["is no proxy", (client) => client.end("220 mail.example ESMTP\r\n")],
    ["dies in its first word", (client) => client.end("HTTP/1.1 20")],
  ])(
    "that %s",
    async (_name, arrival) => {
      const built = build({ way: "proxy" });
      built.road.arrive = arrival;
      const address = `http://127.0.0.1:${built.road.port}`;
      await strike(built, whole, (client, told) => {
        expectFailure(client, told, "upstream_unreachable");
        expect(told.message).toContain(`through the proxy ${address}`);
      });
    },
    2 * HANG_MS,
  );

  test(
    "that says nothing",
    async () => {
      const built = build({ way: "proxy", isHasty: true });
      built.road.arrive = () => {};
      await strike(built, whole, fails("upstream_timeout"));
    },
    2 * HANG_MS,
  );
});

/** Connections that wait for another request, and are no longer what they seem. */
describe("a connection from the pool", () => {
  const fine = (_client: Client, told: Understood) => expect(told).toMatchObject(FINE);

  /** An answer, or the news that there was none in time. */
  const inTime = (client: Client, told: Understood) => {
    if (told.end !== "finished") expectFailure(client, told, "upstream_timeout");
  };

  async function filled(isHasty = false): Promise<Scene> {
    const built = build({ way: "straight", isHasty });
    await strike(built, whole, isHasty ? inTime : fine);
    expect(built.backend.open()).toBeGreaterThan(0);
    return built;
  }

  test(
    "whose other end is gone is replaced by another one",
    async () => {
      const built = await filled();
      const script: Script = (exchange) => (exchange.earlier > 0 ? exchange.reset() : whole(exchange));
      await strike(built, script, (client, told) => {
        // Codex clients ask again by themselves.
        if (!client.knowsCuts) fine(client, told);
        else if (told.end !== "finished") expectFailure(client, told, "upstream_unreachable");
      });
    },
    2 * HANG_MS,
  );

  test(
    "that was closed meanwhile is not used",
    async () => {
      const built = await filled();
      await built.road.closeAll();
      await strike(built, whole, fine);
    },
    2 * HANG_MS,
  );

  test(
    "that is half open costs its request, in time, and no other",
    async () => {
      const built = await filled(true);
      const silent: Script = (exchange) => (exchange.earlier > 0 ? undefined : whole(exchange));
      await strike(built, silent, inTime);
    },
    2 * HANG_MS,
  );
});
