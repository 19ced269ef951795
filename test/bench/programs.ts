import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/ports.ts";

/** A running relay or pass-through. */
export interface Program {
  readonly name: "relay" | "raw";
  readonly url: string;
  readonly pid: number;
  /** From spawning to the first good answer. */
  readonly startMs: number;
  stop(): Promise<void>;
}

/** The backend that both speak to. */
export interface Backend {
  readonly baseUrl: string;
  stats(): Promise<{ replies: number; sentBytes: number; connections: number }>;
  stop(): Promise<void>;
}

const ACCOUNT = "11111111-2222-4333-8444-555555555555";
/** Has the form of a real one; the benchmark's backend does not look at it. */
const TOKEN = unsigned({ exp: Math.floor(Date.now() / 1000) + 86_400 });
export const LOGIN = { accessToken: TOKEN, accountId: ACCOUNT } as const;

export async function startBackend(): Promise<Backend> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "backend.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { baseUrl } = await firstLine<{ baseUrl: string }>(child.stdout);
  const stats = new URL("/stats", baseUrl);
  return {
    baseUrl,
    stats: async () => (await fetch(stats)).json() as ReturnType<Backend["stats"]>,
    stop: () => end(child),
  };
}

/** Starts the executable with nothing of the user's in reach. */
export async function startRelay(
  binary: string,
  baseUrl: string,
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const home = mkdtempSync(join(tmpdir(), "plansocket-bench-"));
  const tokens = { access_token: TOKEN, id_token: TOKEN, account_id: ACCOUNT };
  writeFileSync(join(home, "auth.json"), JSON.stringify({ auth_mode: "chatgpt", tokens }));
  const port = freePort();
  const begun = performance.now();
  const child = Bun.spawn([binary, "serve", "--port", String(port), "--log-level", "error", ...flags], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      CODEX_HOME: home,
      PLANSOCKET_BASE_URL: baseUrl,
      ...environment,
    },
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  const startMs = await answering(`${url}/health`, begun);
  const stop = async () => {
    await end(child);
    rmSync(home, { recursive: true, force: true });
  };
  return { name: "relay", url, pid: child.pid, startMs, stop };
}

export async function startPassThrough(baseUrl: string): Promise<Program> {
  const begun = performance.now();
  const script = join(import.meta.dir, "pass-through.ts");
  const child = Bun.spawn([process.execPath, script, baseUrl, TOKEN, ACCOUNT], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "65535" },
    stdout: "pipe",
    stderr: "inherit",
  });
  const { port } = await firstLine<{ port: number }>(child.stdout);
  const url = `http://127.0.0.1:${port}`;
  return { name: "raw", url, pid: child.pid, startMs: await answering(url, begun), stop: () => end(child) };
}

/** A load balancer for connections to these ports of this machine. */
export async function startBalancer(ports: readonly number[]): Promise<Pick<Program, "url" | "stop">> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "balancer.ts"), ...ports.map(String)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { port } = await firstLine<{ port: number }>(child.stdout);
  return { url: `http://127.0.0.1:${port}`, stop: () => end(child) };
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGKILL");
  await child.exited;
}

async function answering(url: string, begun: number): Promise<number> {
  while (performance.now() - begun < 10_000) {
    const isUp = await fetch(url).then(
      (response) => response.text().then(() => response.ok),
      () => false,
    );
    if (isUp) return performance.now() - begun;
    await Bun.sleep(1);
  }
  throw new Error(`${url} did not answer within 10 s`);
}

async function firstLine<T>(stream: ReadableStream<Uint8Array>): Promise<T> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return JSON.parse(text.split("\n")[0] ?? "") as T;
}

function unsigned(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part(claims)}.`;
}
