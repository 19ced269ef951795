import { afterEach, beforeEach, expect, test } from "bun:test";
import { CommandHome } from "../support/cli.ts";
import { fakeCodex, says, type FakeCodex } from "../support/fake-codex.ts";
import { chatBody, post } from "../support/relay.ts";
import { jwt } from "../support/token-server.ts";

let home: CommandHome;
let backend: FakeCodex;
/** Lets the backend's long answer end. */
let finish: () => void;

beforeEach(() => {
  const held = Promise.withResolvers<void>();
  finish = held.resolve;
  backend = fakeCodex(async (body) => {
    const whole = says("the last words")();
    if (!JSON.stringify(body).includes("slowly")) return whole;
    const [first = "", ...rest] = (await whole.text()).split(/(?<=\n\n)/);
    const parts = async function* () {
      yield new TextEncoder().encode(first + (rest[0] ?? ""));
      await held.promise;
      yield new TextEncoder().encode(rest.slice(1).join(""));
    };
    return new Response(parts(), { headers: { "content-type": "text/event-stream" } });
  });
  home = new CommandHome({ PLANSOCKET_BASE_URL: backend.baseUrl, CODEX_ACCESS_TOKEN: jwt({ exp: 4_000_000_000 }) });
});
afterEach(async () => {
  finish();
  await backend.stop();
  home.remove();
});

const SLOW = chatBody({ stream: true, messages: [{ role: "user", content: "slowly" }] });

/** A relay in a process of its own, and what is asked of it. */
async function serving(flags: readonly string[]) {
  const serve = home.start(["serve", "--port", "0", "--transport", "http", ...flags]);
  const [, url = ""] = await serve.says(/listens on (\S+)/);
  await serve.says(/models {4}gpt/);
  const status = async (path: string) => (await fetch(`${url}${path}`)).status;
  const ask = async (body: object) => post(`${url}/v1/chat/completions`, body);
  return { serve, url, status, ask };
}

test("on SIGTERM /ready fails while all is answered, then new connections are refused and a long stream ends whole", async () => {
  const { serve, status, ask } = await serving(["--stop-delay", "1.5"]);
  const stream = await ask(SLOW);
  expect(stream.status).toBe(200);
  expect(await status("/ready")).toBe(200);
  serve.kill("SIGTERM");
  await serve.says(/about to stop/);
  expect(await status("/ready")).toBe(503);
  // Somebody who has not noticed yet is served, and told to come by another connection next time.
  const late = await ask(chatBody());
  expect([late.status, late.headers.get("connection")]).toEqual([200, "close"]);
  expect(await late.text()).toContain("the last words");
  await serve.says(/Stopping after 1 running request/);
  const refused = await Promise.race([status("/health").catch(() => "refused"), serve.ended]);
  expect(refused).toBe("refused");
  finish();
  const text = await stream.text();
  expect(text).toContain("the last words");
  expect(text).toEndWith("data: [DONE]\n\n");
  const { code, err } = await serve.ended;
  expect([code, err.includes("were cut")]).toEqual([0, false]);
}, 30_000);

test("what is not done when the time is over is cut, with an error that says so", async () => {
  const { serve, ask } = await serving(["--drain-timeout", "0.2"]);
  const stream = await ask(SLOW);
  serve.kill("SIGTERM");
  const text = await stream.text();
  expect(text).toContain("relay_stopping");
  expect(text).not.toMatch(/"finish_reason":"/);
  const { code, err } = await serve.ended;
  expect([code, err.includes("were cut")]).toEqual([0, true]);
}, 30_000);

test("at a terminal, and by a second signal, the delay is skipped", async () => {
  const first = await serving(["--stop-delay", "600"]);
  first.serve.kill("SIGINT");
  expect((await first.serve.ended).code).toBe(0);
  const second = await serving(["--stop-delay", "600"]);
  second.serve.kill("SIGTERM");
  await second.serve.says(/about to stop/);
  second.serve.kill("SIGTERM");
  expect((await second.serve.ended).code).toBe(0);
}, 30_000);
