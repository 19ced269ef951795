import { connect, type Socket } from "node:net";
import { afterAll, expect, test } from "bun:test";
import { mostRequests } from "../../src/cli/fetch-limit.ts";
import { startAnew } from "../../src/cli/start-anew.ts";
import { CommandHome } from "../support/cli.ts";
import { fakeCodex } from "../support/fake-codex.ts";
import { chatBody } from "../support/relay.ts";

const home = new CommandHome();
afterAll(() => home.remove());

test("what fetch can do at once bounds what the relay takes", () => {
  expect(mostRequests({})).toBe(240);
  expect(mostRequests({ BUN_CONFIG_MAX_HTTP_REQUESTS: "2016" })).toBe(2000);
  expect(mostRequests({ BUN_CONFIG_MAX_HTTP_REQUESTS: "many" })).toBe(240);
  expect(mostRequests({ BUN_CONFIG_MAX_HTTP_REQUESTS: "1" })).toBe(1);
});

test("a process that has started anew keeps the engine's settings from its children", () => {
  const before = { ...process.env };
  process.env["BUN_CONFIG_MAX_HTTP_REQUESTS"] ??= "256";
  const engine = ["BUN_JSC_thresholdForFTLOptimizeAfterWarmUp", "BUN_JSC_heapGrowthMaxIncrease"];
  for (const name of engine) process.env[name] = "500000";
  try {
    startAnew();
    for (const name of engine) expect(process.env).not.toHaveProperty(name);
  } finally {
    if (before["BUN_CONFIG_MAX_HTTP_REQUESTS"] === undefined) delete process.env["BUN_CONFIG_MAX_HTTP_REQUESTS"];
  }
});

test("more requests than fetch lets out by default reach the backend together, and one too many is told so", async () => {
  const many = 300;
  const arrived = Promise.withResolvers<void>();
  let waiting = 0;
  await using backend = fakeCodex(() => {
    waiting += 1;
    if (waiting === many) arrived.resolve();
    return new Promise<Response>(() => {});
  });
  const command = home.start(["serve", "--port", "0", "--max-requests", String(many)], {
    OPENAI_ACCESS_TOKEN: "t",
    PLANSOCKET_BASE_URL: backend.baseUrl,
  });
  const sockets: Socket[] = [];
  try {
    const [, port = ""] = await command.says(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
    const body = JSON.stringify(chatBody());
    const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    // Not fetch: this process has the same limit.
    for (let index = 0; index < many; index += 1) {
      const socket = connect(Number(port), "127.0.0.1", () => socket.write(request));
      sockets.push(socket);
    }
    await arrived.promise;
    const refused = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: "POST", body });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  } finally {
    for (const socket of sockets) socket.destroy();
    command.kill("SIGKILL");
    await command.ended;
  }
});
