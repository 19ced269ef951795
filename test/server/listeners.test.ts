import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RelayError } from "../../src/lib/errors.ts";
import { socketState, takeSocketPlace } from "../../src/server/unix-socket.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { chatBody } from "../support/relay.ts";

const folder = mkdtempSync(join(tmpdir(), "plansocket-unix-"));
const path = join(folder, "relay.sock");
let demo: DemoRelay | undefined;
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  await demo?.stop();
  demo = undefined;
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
});

/** `[code, message]` of what `act` throws. */
async function failure(act: () => unknown): Promise<[code: string, message: string]> {
  try {
    await act();
  } catch (error) {
    const { code, message } = error as RelayError;
    return [code, message];
  }
  return ["", "nothing was thrown"];
}

describe("several addresses", () => {
  test("share a port, answer alike under each of their names, and end together", async () => {
    demo = startDemoRelay({ relay: { otherHosts: ["127.0.0.2", "::1"] } });
    const { relay } = demo;
    expect(relay.otherUrls).toEqual([`http://127.0.0.2:${relay.port}`, `http://[::1]:${relay.port}`]);
    for (const url of [relay.url, ...relay.otherUrls]) {
      expect((await fetch(`${url}/health`)).status).toBe(200);
    }
    await relay.drain(1000);
    for (const url of [relay.url, ...relay.otherUrls]) {
      expect(await fetch(`${url}/health`).catch(() => "refused")).toBe("refused");
    }
  });

  test("want a key as soon as one of them is off loopback", async () => {
    expect(await failure(() => startDemoRelay({ relay: { otherHosts: ["::1", "0.0.0.0"] } }))).toEqual([
      "start_failed",
      "Listening on 0.0.0.0 needs an API key: others could spend your plan.",
    ]);
    demo = startDemoRelay({ relay: { host: "127.0.0.1", otherHosts: ["127.0.0.3"], apiKey: "secret" } });
    expect((await fetch(`${demo.relay.otherUrls[0]}/v1/models`)).status).toBe(401);
  });

  test("name the one that fails, and leave none open", async () => {
    const holder = Bun.serve({ hostname: "127.0.0.2", port: 0, fetch: () => new Response() });
    const port = holder.port ?? 0;
    expect(await failure(() => startDemoRelay({ relay: { port, otherHosts: ["127.0.0.2"] } }))).toEqual([
      "start_failed",
      `Port ${port} on 127.0.0.2 is in use.`,
    ]);
    expect(await fetch(`http://127.0.0.1:${port}/health`).catch(() => "refused")).toBe("refused");
    await holder.stop(true);
  });
});

describe.skipIf(process.platform === "win32")("a Unix socket", () => {
  const over = (way: string, init: BunFetchRequestInit = {}) =>
    fetch(`http://localhost${way}`, { unix: path, ...init });

  test("answers its owner alone, streams and bodies too, and is gone after a stop", async () => {
    demo = startDemoRelay({ relay: { host: "localhost", unix: path } });
    expect(demo.relay.url).toBe(`unix:${path}`);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    const body = JSON.stringify(chatBody({ stream: true }));
    expect(await (await over("/v1/chat/completions", { method: "POST", body })).text()).toContain("[DONE]");
    const large = JSON.stringify(chatBody({ messages: [{ role: "user", content: "x".repeat(10_000_000) }] }));
    expect((await over("/v1/chat/completions", { method: "POST", body: large })).status).toBe(200);
    await demo.relay.stop();
    expect(existsSync(path)).toBe(false);
  });

  test("checks names, pages and keys as on loopback", async () => {
    demo = startDemoRelay({ relay: { host: "localhost", unix: path, apiKey: "secret" } });
    const status = async (headers: Record<string, string>) => (await over("/v1/models", { headers })).status;
    const authorization = "Bearer secret";
    expect(await status({ authorization })).toBe(200);
    expect(await status({})).toBe(401);
    expect(await status({ authorization, host: "page.example" })).toBe(403);
    expect(await status({ authorization, origin: "https://page.example" })).toBe(403);
    // Nobody is trusted to speak for others unless that was said.
    expect(await status({ authorization, "x-forwarded-host": "page.example" })).toBe(200);
  });

  test("its peers are this machine's, for --trust-proxy", async () => {
    demo = startDemoRelay({
      relay: { host: "localhost", unix: path, trustProxies: ["loopback"], allowHosts: ["relay.example"] },
    });
    expect((await over("/health", { headers: { "x-forwarded-host": "relay.example" } })).status).toBe(200);
    expect((await over("/health", { headers: { "x-forwarded-host": "page.example" } })).status).toBe(403);
  });

  test("a place with a listener is taken, one that was left behind is freed, and nothing else is touched", async () => {
    expect(await socketState(path)).toBe("free");
    const child = Bun.spawn(
      [
        process.execPath,
        "-e",
        `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response() }); console.log();`,
      ],
      { stdout: "pipe" },
    );
    await child.stdout.getReader().read();
    expect(await socketState(path)).toBe("in use");
    expect(await failure(() => takeSocketPlace(path))).toEqual(["start_failed", `Another program listens on ${path}.`]);
    child.kill(9);
    await child.exited;
    expect(await socketState(path)).toBe("left behind");
    // Of many who come at once each finds it free, one after the other.
    await Promise.all([1, 2, 3].map(async () => (await takeSocketPlace(path))()));
    expect(readdirSync(folder)).not.toContain("relay.sock");
    expect(readdirSync(folder)).not.toContain("relay.sock.lock");

    writeFileSync(path, "a file");
    expect(await failure(() => takeSocketPlace(path))).toEqual(["start_failed", `${path} is there, and is no socket.`]);
    rmSync(path);
    symlinkSync(join(folder, "elsewhere.sock"), path);
    expect(await failure(() => takeSocketPlace(path))).toEqual([
      "start_failed",
      `${path} is a symbolic link, and is not followed.`,
    ]);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(existsSync(join(folder, "elsewhere.sock"))).toBe(false);
  });

  test("a path that cannot be is refused in words", async () => {
    const far = join(folder, "missing", "relay.sock");
    expect((await failure(() => takeSocketPlace(far)))[1]).toContain("its folder does not exist");
    const long = join(folder, "x".repeat(120));
    expect((await failure(() => startDemoRelay({ relay: { host: "localhost", unix: long } })))[1]).toContain(
      `${long} cannot be listened on`,
    );
  });
});
