import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { completed, created, delta, fakeCodex, sse } from "../support/fake-codex.ts";
import { bearer, TestKeys } from "../support/keys.ts";
import { eventually, post, startTestRelay } from "../support/relay.ts";
import { CLIENTS } from "./dialects.ts";
import { report } from "./report.ts";

const model = "gpt-5.5";
const FOREIGN = "gpt-5.6-sol";
const SECRET = "what only one client may know";

let keys: TestKeys;
let demo: DemoRelay;
let [mine, theirs] = ["", ""];
let cases = 0;
beforeAll(() => (cases = 0));
afterAll(() => report("keys", "memory, doors, limits", cases));
beforeEach(async () => {
  keys = new TestKeys();
  [mine, theirs] = [await keys.add("mine"), await keys.add("theirs")];
});
afterEach(async () => {
  await demo.stop();
  keys.remove();
});

const ask = async (path: string, init: RequestInit & { headers?: Record<string, string> }) => {
  cases += 1;
  const reply = await fetch(`${demo.relay.url}${path}`, init);
  return { status: reply.status, text: await reply.text() };
};

/** One question over a socket; all frames until the one that ends the answer. */
async function overSocket(key: string, frame: object): Promise<string> {
  cases += 1;
  const socket = new WebSocket(`${demo.v1.replace("http", "ws")}/responses`, {
    headers: bearer(key),
  } as unknown as string[]);
  const { promise, resolve } = Promise.withResolvers<void>();
  let text = "";
  socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "response.create", model, ...frame })));
  socket.addEventListener("message", ({ data }) => {
    text += String(data);
    if (/"type":"(error|response\.(completed|failed|incomplete))"/.test(String(data))) resolve();
  });
  socket.addEventListener("close", () => resolve());
  await promise;
  socket.close();
  return text;
}

describe("what a key stored", () => {
  test("no other key reaches, by any route, name, reference or socket", async () => {
    demo = startDemoRelay(keys.forRelay);
    const answer = await post(`${demo.v1}/responses`, { model, input: SECRET }, bearer(mine));
    const stored = (await answer.json()) as { id: string; output: { id: string }[] };
    const id = stored.id;
    const [, owner = ""] = [keys.ring.isInUse, keys.file.read()?.keys.find(({ name }) => name === "mine")?.id];
    const names = [
      id,
      id.toUpperCase(),
      encodeURIComponent(`${owner}\n${id}`),
      encodeURIComponent(`\n${id}`),
      encodeURIComponent(`${owner} ${id}`),
      `%00${id}`,
      `${id}%00`,
      `x/../${id}`,
      `x%2f..%2f${id}`,
      id.replace("resp_", "%72esp_"),
    ];
    const roots = ["/v1/responses", "/responses", "/backend-api/codex/responses"];
    const told: string[] = [];
    for (const root of roots) {
      for (const name of names) {
        for (const [method, more] of [
          ["GET", ""],
          ["HEAD", ""],
          ["GET", "/input_items"],
          ["GET", "/input_items?limit=100&order=asc"],
          ["POST", "/cancel"],
          ["DELETE", ""],
        ] as const) {
          const { status, text } = await ask(`${root}/${name}${more}`, { method, headers: bearer(theirs) });
          expect(status).toBeGreaterThanOrEqual(400);
          told.push(text);
        }
      }
    }
    const items = [id, ...stored.output.map((item) => item.id)];
    const bodies = [
      ...names.map((name) => ({ input: "go on", previous_response_id: decodeURIComponent(name) })),
      ...items.flatMap((item) => [
        { input: [{ type: "item_reference", id: item }] },
        { input: [{ id: item }] },
        { input: [{ type: "item_reference", id: `${owner}\n${item}` }] },
      ]),
      { input: "go on", conversation: id },
      { input: "go on", prompt_cache_key: id },
    ];
    const seen = demo.backend.requests.length;
    for (const body of bodies) {
      for (const path of [...roots, "/v1/responses/compact", "/v1/responses/input_tokens"]) {
        const init = { method: "POST", headers: bearer(theirs), body: JSON.stringify({ model, ...body }) };
        told.push((await ask(path, init)).text);
      }
      told.push(await overSocket(theirs, body));
    }
    // Neither were they told, nor was it sent in their name.
    expect(told.join("\n")).not.toContain(SECRET);
    expect(JSON.stringify(demo.backend.requests.slice(seen))).not.toContain(SECRET);
    const still = await ask(`/v1/responses/${id}/input_items`, { headers: bearer(mine) });
    expect(still.text).toContain(SECRET);
  });
});

describe("the door", () => {
  test("does not open for keys that are nearly right, ended, or in another place", async () => {
    demo = startDemoRelay(keys.forRelay);
    const ended = await keys.add("ended");
    await keys.file.revoke("ended");
    const expired = await keys.add("expired", {}, 1);
    const digest = keys.file.read()?.keys[0]?.digest.toString("hex") ?? "";
    const wrong = [
      "",
      "plsk_",
      mine.slice(0, -1),
      `${mine}A`,
      mine.toUpperCase(),
      mine.replace("plsk_", ""),
      digest,
      digest.slice(0, 16),
      "mine",
      "owner",
      ended,
      expired,
      `${mine},${theirs}`,
      "x".repeat(8000),
    ];
    const refused = [];
    for (const key of wrong) {
      for (const headers of [bearer(key), { "x-api-key": key }, { authorization: `Basic ${btoa(`mine:${key}`)}` }]) {
        for (const client of CLIENTS.filter(({ isSocket }) => !isSocket)) {
          const body = JSON.stringify({ ...client.body, model });
          refused.push((await ask(client.path, { method: "POST", headers, body })).status);
        }
      }
    }
    for (const headers of [
      { cookie: `key=${mine}` },
      { "api-key": mine },
      { "x-key": mine },
      { "proxy-authorization": mine },
    ]) {
      refused.push((await ask("/v1/models", { headers })).status);
    }
    refused.push((await ask(`/v1/models?key=${mine}&api_key=${mine}`, {})).status);
    expect(new Set(refused)).toEqual(new Set([401]));
    expect(demo.backend.requests.filter(({ path }) => path.endsWith("/responses"))).toHaveLength(0);
    // One good key is enough, beside one that is left over from another service.
    const both = { ...bearer(ended), "x-api-key": mine };
    expect((await ask("/v1/models", { headers: both })).status).toBe(200);
  });

  test.each<[what: string, act: (path: string) => void]>([
    ["is gone", (path) => unlinkSync(path)],
    ["is empty", (path) => truncateSync(path, 0)],
    ["is junk", (path) => writeFileSync(path, "\u0000{]")],
    ["is no list", (path) => writeFileSync(path, '{"version":1,"keys":{}}')],
    ["is huge", (path) => writeFileSync(path, `{"version":1,"keys":[]}${" ".repeat(300_000)}`)],
    ["is a folder", (path) => (unlinkSync(path), mkdirSync(path))],
    ["is a link", (path) => (renameSync(path, `${path}.x`), symlinkSync(`${path}.x`, path))],
    ["leads nowhere", (path) => (unlinkSync(path), symlinkSync("nowhere", path))],
    ["has no keys any more", (path) => writeFileSync(path, '{"version":1,"keys":[]}')],
    ["may not be read", (path) => chmodSync(path, 0)],
    ["lies in a folder that is gone", (path) => rmSync(path.replace(/\/[^/]*$/, ""), { recursive: true })],
  ])("stays shut when the file of keys %s", async (_, act) => {
    demo = startDemoRelay(keys.forRelay);
    expect((await ask("/v1/models", { headers: bearer(mine) })).status).toBe(200);
    act(keys.file.path);
    for (const headers of [{}, bearer("plsk_any"), bearer("any"), { "x-api-key": "" }]) {
      expect((await ask("/v1/models", { headers })).status).toBe(401);
    }
    expect((await ask("/health", {})).status).toBe(200);
  });
});

describe("limits", () => {
  test("of models are not got round by spelling, place or endpoint", async () => {
    demo = startDemoRelay({ ...keys.forRelay, relay: { modelAliases: { coder: FOREIGN } } });
    const key = await keys.add("ci", { models: [model] });
    const spellings: unknown[] = [
      FOREIGN,
      FOREIGN.toUpperCase(),
      ` ${FOREIGN} `,
      `openai/${FOREIGN}`,
      `${FOREIGN}:latest`,
      `${FOREIGN}-high`,
      `${FOREIGN}-fast-low`,
      "coder",
      "gpt-reserve",
      [model, FOREIGN],
      { id: FOREIGN },
      [FOREIGN],
      null,
      7,
    ];
    const clients = CLIENTS.filter(({ isSocket }) => !isSocket);
    for (const spelling of spellings) {
      for (const { path, body, headers } of clients) {
        const init = {
          method: "POST",
          headers: { ...headers, ...bearer(key) },
          body: JSON.stringify({ ...body, model: spelling }),
        };
        const { status } = await ask(path, init);
        if (typeof spelling === "string") expect([403, 404]).toContain(status);
      }
      await overSocket(key, { model: spelling, input: "hi" });
      const twice = `{"model":"${model}","input":"hi","model":${JSON.stringify(spelling)}}`;
      await ask("/v1/responses", { method: "POST", headers: bearer(key), body: twice });
      const compact = { model: spelling, input: [{ role: "user", content: "hi" }] };
      await ask("/v1/responses/compact", { method: "POST", headers: bearer(key), body: JSON.stringify(compact) });
    }
    const image = {
      method: "POST",
      headers: bearer(key),
      body: JSON.stringify({ model: "gpt-image-2", prompt: "a cat" }),
    };
    expect((await ask("/v1/images/generations", image)).status).toBe(403);
    const form = new FormData();
    form.set("file", new File(["RIFF"], "a.wav"));
    form.set("model", model);
    expect((await ask("/v1/audio/transcriptions", { method: "POST", headers: bearer(key), body: form })).status).toBe(
      403,
    );
    const used = demo.backend.requests.flatMap(({ body }) => (body as { model?: unknown } | undefined)?.model ?? []);
    expect(new Set(used).difference(new Set([model]))).toEqual(new Set());
  });

  test("hold over every dialect, socket and retry at once, and nothing that fails takes room for good", async () => {
    const go = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    const backend = fakeCodex(async () => {
      most = Math.max(most, (running += 1));
      await go.promise;
      running -= 1;
      return sse([created, delta("Hello"), completed]);
    });
    const relay = startTestRelay({ baseUrl: backend.baseUrl, ...keys.forRelay });
    const stop = () => relay.stop().then(() => backend.stop());
    demo = { relay, v1: `${relay.url}/v1`, stop } as unknown as DemoRelay;
    const key = await keys.add("ci", { requestsAtOnce: 4 });
    const clients = CLIENTS.filter(({ isSocket }) => !isSocket);
    const bad = ["{", "", "[]", '{"model":"gpt-5.5"}', `{"model":"${FOREIGN}","messages":[]}`];
    for (const body of bad) {
      for (const { path } of clients) await ask(path, { method: "POST", headers: bearer(key), body });
    }
    expect(backend.bodies).toHaveLength(0);
    let refused = 0;
    const all = Array.from({ length: 100 }, async (__, index) => {
      const client = clients[index % clients.length];
      if (index % 5 === 0) {
        const text = await overSocket(key, { input: "hi" });
        if (text.includes("key_limit_reached")) refused += 1;
        return;
      }
      const body = JSON.stringify({ ...client?.body, model });
      const { status } = await ask(client?.path ?? "", {
        method: "POST",
        headers: { ...client?.headers, ...bearer(key) },
        body,
      });
      if (status === 429) refused += 1;
    });
    await eventually(() => refused === 96 && running === 4, 20_000);
    go.resolve();
    await Promise.all(all);
    expect([most, refused]).toEqual([4, 96]);
    await eventually(() => relay.activeRequests() === 0);
    const after = await Promise.all(
      Array.from({ length: 4 }, () =>
        ask("/v1/responses", { method: "POST", headers: bearer(key), body: JSON.stringify({ model, input: "hi" }) }),
      ),
    );
    expect(after.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });
});
