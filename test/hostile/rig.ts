import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Behaviour, Seen } from "./backend.ts";

const root = join(import.meta.dir, "../..");

/** What a process holds at one moment. */
export interface Holding {
  readonly handles: number;
  readonly sockets: number;
  readonly rssMb: number;
}

/** PLANSOCKET_TEST_TRANSPORT holds for relays in processes of their own too. */
function chosenTransport(): Record<string, string> {
  const transport = process.env["PLANSOCKET_TEST_TRANSPORT"];
  return transport === undefined ? {} : { PLANSOCKET_TRANSPORT: transport };
}

/** A backend and a relay in processes of their own, as they run outside of tests. */
export class Rig {
  readonly port: number;
  readonly pid: number;
  readonly home: string;
  readonly login: Login;
  readonly exited: Promise<number>;
  readonly #backend: Bun.Subprocess;
  readonly #relay: Bun.Subprocess<"ignore", "ignore", "pipe">;
  #said = "";

  private constructor(parts: Parts) {
    const { backend, relay, login, home } = parts;
    this.#backend = backend;
    this.#relay = relay;
    this.login = login;
    this.home = home;
    this.port = parts.port;
    this.pid = relay.pid;
    this.exited = relay.exited;
    this.#said = parts.said;
    void this.#listen(parts.rest);
  }

  /** `serve` from source, or the executable that PLANSOCKET_BINARY names, with these flags. */
  static async start(
    flags: readonly string[] = [],
    env: (login: Login) => Readonly<Record<string, string>> = () => {
      return {};
    },
  ): Promise<Rig> {
    const home = mkdtempSync(join(tmpdir(), "plansocket-rig-"));
    const backend = Bun.spawn([process.execPath, join(import.meta.dir, "backend.ts")], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const login = JSON.parse(await until(linesOf(backend.stdout), /^\{.*\}$/m).then(({ match }) => match[0])) as Login;
    const executable = process.env["PLANSOCKET_BINARY"];
    const program = executable === undefined ? [process.execPath, join(root, "src/main.ts")] : [executable];
    const relay = Bun.spawn([...program, "serve", "--port", "0", ...flags], {
      cwd: home,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: home,
        CODEX_HOME: join(home, "none"),
        PLANSOCKET_BASE_URL: login.baseUrl,
        OPENAI_ACCESS_TOKEN: login.accessToken,
        OPENAI_CHATGPT_ACCOUNT_ID: login.accountId,
        ...chosenTransport(),
        ...env(login),
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const rest = linesOf(relay.stderr);
    const { match, said } = await until(rest, /listens on http:\/\/[^\s]*:(\d+)/).catch((thrown: unknown) => {
      // A relay that does not even start leaves nothing behind.
      for (const child of [relay, backend]) child.kill("SIGKILL");
      rmSync(home, { recursive: true, force: true });
      throw thrown;
    });
    return new Rig({ backend, relay, login, home, port: Number(match[1]), said, rest });
  }

  async #listen(rest: AsyncIterable<string>): Promise<void> {
    for await (const text of rest) this.#said += text;
  }

  /** Everything on its standard error so far: what it says and what it logs. */
  get said(): string {
    return this.#said;
  }

  async behave(behaviour: Behaviour): Promise<void> {
    await fetch(`${this.login.control}/behave`, { method: "POST", body: JSON.stringify(behaviour) });
  }

  /** Access tokens given out so far are refused from now on. */
  async expireTokens(): Promise<void> {
    await fetch(`${this.login.control}/expire`);
  }

  /** Answers that wait go on. */
  async go(): Promise<void> {
    await fetch(`${this.login.control}/go`);
  }

  async seen(): Promise<Seen> {
    return (await fetch(`${this.login.control}/seen`)).json() as Promise<Seen>;
  }

  /** What the relay holds now. */
  holding(): Holding {
    return holdingOf(this.pid);
  }

  /** Tells the relay to end in order; its exit code. */
  async terminate(): Promise<number> {
    this.#relay.kill("SIGTERM");
    return this.exited;
  }

  signal(name: NodeJS.Signals): void {
    this.#relay.kill(name);
  }

  async stop(): Promise<void> {
    this.#relay.kill("SIGKILL");
    this.#backend.kill("SIGKILL");
    await Promise.all([this.#relay.exited, this.#backend.exited]);
    rmSync(this.home, { recursive: true, force: true });
  }
}

export interface Login {
  readonly baseUrl: string;
  readonly tokenUrl: string;
  readonly control: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly accountId: string;
}

interface Parts {
  readonly backend: Bun.Subprocess;
  readonly relay: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly login: Login;
  readonly home: string;
  readonly port: number;
  readonly said: string;
  readonly rest: AsyncIterable<string>;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value, { stream: true });
  }
}

/** Reads until `pattern` was said; what was said up to there. */
async function until(
  texts: AsyncGenerator<string>,
  pattern: RegExp,
): Promise<{ match: RegExpExecArray; said: string }> {
  let said = "";
  for (;;) {
    const { done, value } = await texts.next();
    if (done === true) throw new Error(`It ended without saying ${String(pattern)}: ${said}`);
    said += value;
    const match = pattern.exec(said);
    if (match) return { match, said };
  }
}

function holdingOf(pid: number): Holding {
  if (process.platform === "linux") {
    const folder = `/proc/${pid}/fd`;
    const targets = readdirSync(folder).map((name) => linkOf(join(folder, name)));
    const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    const sockets = targets.filter((target) => target.startsWith("socket:")).length;
    return { handles: targets.length, sockets, rssMb: Math.round(kb / 1024) };
  }
  const rss = Number(Bun.spawnSync(["ps", "-o", "rss=", "-p", String(pid)]).stdout.toString());
  const open = Bun.spawnSync(["lsof", "-nP", "-a", "-p", String(pid), "-d", "0-999999"])
    .stdout.toString()
    .trim();
  const lines = open.split("\n").slice(1);
  const sockets = lines.filter((line) => /\b(IPv[46]|unix|sock)\b/.test(line)).length;
  return { handles: lines.length, sockets, rssMb: Math.round(rss / 1024) };
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // Closed in between.
  }
}

/** Waits until something is true, asking again and again; throws after `limitMs`, which is for hangs only. */
export async function becomesTrue(isTrue: () => Promise<boolean>, what: string, limitMs = 60_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`${what} did not become true within ${limitMs} ms`);
    await Bun.sleep(20);
  }
}
