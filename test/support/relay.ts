import type { CredentialProvider, Credentials } from "../../src/auth/credentials.ts";
import type { KeyBudgets } from "../../src/keys/budgets.ts";
import type { KeyRing } from "../../src/keys/key-ring.ts";
import type { Counts } from "../../src/ledger/ledger.ts";
import { SILENT_LOG, type Log } from "../../src/lib/log.ts";
import type { RelayOptions } from "../../src/server/options.ts";
import type { RelayDependencies } from "../../src/server/relay.ts";
import { startRelay, type RunningRelay } from "../../src/server/serve.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { UpstreamClient } from "../../src/upstream/client.ts";
import { createEgress, type Egress } from "../../src/upstream/egress.ts";
import type { UpstreamOptions } from "../../src/upstream/options.ts";

export interface TestRelay extends RunningRelay {
  readonly upstream: UpstreamClient;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TestRelayOptions {
  readonly baseUrl: string;
  readonly relay?: Partial<RelayOptions>;
  readonly upstream?: Partial<UpstreamOptions>;
  readonly credentials?: CredentialProvider;
  /** The way out; straight when left out. */
  readonly egress?: Egress;
  readonly now?: () => number;
  readonly elapsed?: () => number;
  readonly log?: Log;
  /** The clients' keys. */
  readonly keys?: KeyRing;
  /** What they have used. */
  readonly budgets?: KeyBudgets;
  readonly ledger?: Counts;
  /** Who is told of its requests. */
  readonly telemetry?: Telemetry | undefined;
  /** What it shares with other relays. */
  readonly sharing?: Pick<RelayDependencies, "store" | "share">;
}

/** A relay on a free port, in this process. Retries do not wait. */
export function startTestRelay(options: TestRelayOptions): TestRelay {
  const credentials = options.credentials ?? fixedCredentials();
  const now = options.now ?? Date.now;
  const upstream = new UpstreamClient({
    options: {
      baseUrl: options.baseUrl,
      responsesPath: "/responses",
      openaiBaseUrl: "http://127.0.0.1:9/v1",
      clientVersion: "0.169.0",
      originator: "codex_cli_rs",
      lite: { default: "auto", models: {} },
      transport: testTransport(),
      firstByteTimeoutMs: 10_000,
      idleTimeoutMs: 10_000,
      holdMs: 5000,
      modelsCacheFile: undefined,
      models: undefined,
      ...options.upstream,
    },
    credentials,
    egress: options.egress ?? createEgress({ proxy: undefined, noProxy: "" }),
    log: SILENT_LOG,
    now,
    sleep: () => Promise.resolve(),
  });
  const relay = startRelay({
    options: {
      host: "127.0.0.1",
      port: 0,
      apiKey: undefined,
      allowHosts: [],
      corsOrigins: [],
      strict: false,
      reasoning: "both",
      instructions: "",
      maxBodyBytes: 64 * 1024 * 1024,
      maxRequests: 240,
      modelAliases: {},
      keepAliveMs: 15_000,
      ...options.relay,
    },
    upstream,
    credentials,
    log: options.log ?? SILENT_LOG,
    ledger: options.ledger,
    telemetry: options.telemetry,
    now,
    ...(options.elapsed ? { elapsed: options.elapsed } : {}),
    ...(options.keys ? { keys: options.keys } : {}),
    ...(options.budgets ? { budgets: options.budgets } : {}),
    ...options.sharing,
  });
  return Object.assign(relay, { upstream, [Symbol.asyncDispose]: () => relay.stop() });
}

/** A login that is always good; `over` changes what a test is about. */
export function fixedCredentials(over: Partial<Credentials> = {}): CredentialProvider {
  const credentials: Credentials = {
    kind: "chatgpt",
    accessToken: "token",
    accountId: "acc-1",
    expiresAtMs: undefined,
    isFedramp: false,
    email: undefined,
    plan: "pro",
    source: "test",
    ...over,
  };
  return { current: () => Promise.resolve(credentials), recover: () => Promise.resolve(credentials) };
}

/** POST of JSON. */
export function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

/** The shortest chat request. */
export const chatBody = (over: object = {}) => ({
  model: "gpt-5.5",
  messages: [{ role: "user", content: "hi" }],
  ...over,
});

/** The `data:` values of an SSE text, parsed where they are JSON. */
export function dataOf(text: string): unknown[] {
  return text
    .split("\n\n")
    .flatMap((frame) => frame.split("\n").filter((line) => line.startsWith("data: ")))
    .map((line) => line.slice("data: ".length))
    .map((data) => (data === "[DONE]" ? data : (JSON.parse(data) as unknown)));
}

/** Waits until something is true, checking every few milliseconds; throws after `limitMs`. */
export async function eventually(isTrue: () => boolean | Promise<boolean>, limitMs = 1000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`did not become true within ${limitMs} ms`);
    await Bun.sleep(5);
  }
}

/** How tests reach the backend unless they say otherwise: PLANSOCKET_TEST_TRANSPORT runs all of them the other way. */
function testTransport(): "http" | "websocket" {
  return process.env["PLANSOCKET_TEST_TRANSPORT"] === "websocket" ? "websocket" : "http";
}
