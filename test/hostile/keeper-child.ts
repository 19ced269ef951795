import { join } from "node:path";

/** What a command did: what was warned of, and why it failed if it did. */
export interface Obeyed {
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  readonly warnings: readonly string[];
}

export interface KeeperChild {
  readonly pid: number;
  /** Sends a command and waits for what came of it. */
  tell(command: string): Promise<Obeyed>;
  /** Sends a command that is not answered. */
  start(command: string): void;
  kill(): Promise<void>;
}

/** The credentials of a relay in a process of their own; `wrapper` is a command that runs the one after it. */
export async function startKeeper(file: string, url: string, wrapper: readonly string[] = []): Promise<KeeperChild> {
  const script = join(import.meta.dir, "keeper-process.ts");
  const child = Bun.spawn([...wrapper, process.execPath, script, file, url], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = readLines(child.stdout);
  const nextLine = async () => (await lines.next()).value ?? "";
  if ((await nextLine()) !== "ready") throw new Error("the keeper did not start");
  const start = (command: string) => {
    void child.stdin.write(`${command}\n`);
    void child.stdin.flush();
  };
  return {
    pid: child.pid,
    start,
    async tell(command) {
      start(command);
      return JSON.parse(await nextLine()) as Obeyed;
    },
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}
