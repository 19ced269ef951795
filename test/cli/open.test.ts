import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { CommandHome, type RunningCommand } from "../support/cli.ts";

const home = new CommandHome();
let relay: RunningCommand | undefined;
afterEach(async () => {
  relay?.kill();
  await relay?.ended;
  relay = undefined;
});
afterAll(() => home.remove());

async function demo(args: readonly string[] = [], env: Record<string, string> = {}): Promise<string> {
  relay = home.start(["demo", "--port", "0", ...args], env);
  const [, port = ""] = await relay.says(/listens on http:\/\/127\.0\.0\.1:(\d+):/);
  return port;
}

/** What the page's first question gets after the browser went where `open` sent it. */
async function statusAfter(address: string): Promise<number> {
  const entered = await fetch(address, { redirect: "manual", headers: { accept: "text/html" } });
  const cookie = (entered.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  return (await fetch(new URL("/page/state", address), { headers: { cookie } })).status;
}

describe("open", () => {
  test("prints the page's address, without a code where no key is needed", async () => {
    const port = await demo();
    expect(await home.run(["open", "--port", port])).toEqual({ code: 0, out: `http://127.0.0.1:${port}/\n`, err: "" });
  });

  test("signs in with the relay's own key, which stands in no address", async () => {
    const port = await demo([], { PLANSOCKET_API_KEY: "own-key" });
    const { code, out } = await home.run(["open", "--port", port], { PLANSOCKET_API_KEY: "own-key" });
    expect([code, out.includes("own-key")]).toEqual([0, false]);
    expect(await statusAfter(out.trim())).toBe(200);
    expect(await statusAfter(out.trim())).toBe(401);
  });

  test("signs in through the state folder where only clients have keys", async () => {
    expect((await home.run(["keys", "add", "guest"])).code).toBe(0);
    const port = await demo();
    const { code, out } = await home.run(["open", "--port", port, "--print"]);
    expect(code).toBe(0);
    expect(out).toContain("/page/enter?code=");
    expect(await statusAfter(out.trim())).toBe(200);
  });

  test("says what to do when the key is another one, and when no relay answers", async () => {
    const port = await demo([], { PLANSOCKET_API_KEY: "own-key" });
    const wrong = await home.run(["open", "--port", port, "--api-key", "other"]);
    expect([wrong.code, wrong.out]).toEqual([1, ""]);
    expect(wrong.err).toContain("has another API key than the one that is set here");
    const nobody = await home.run(["open", "--port", "9"]);
    expect([nobody.code, nobody.out]).toEqual([1, ""]);
    expect(nobody.err).toContain("No relay answers on http://127.0.0.1:9.\n  Start one with `plansocket start`");
  });
});
