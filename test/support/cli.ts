import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunningCommand {
  /** What it has said so far, on both streams. */
  readonly said: () => string;
  /** Resolves once `pattern` was said; fails when the command ends first. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  type(text: string): void;
  endInput(): void;
  readonly ended: Promise<Ended>;
  kill(signal?: NodeJS.Signals): void;
}

/** A home of its own for commands that are run from source. */
export class CommandHome {
  readonly path = mkdtempSync(join(tmpdir(), "plansocket-home-"));
  readonly #env: Readonly<Record<string, string>>;
  readonly #wrapper: readonly string[];

  /** `wrapper` is a command that runs the one given after it, as in `nice`. */
  constructor(env: Readonly<Record<string, string>> = {}, wrapper: readonly string[] = []) {
    this.#env = env;
    this.#wrapper = wrapper;
  }

  /** Runs to its end. */
  run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    wrapper: readonly string[] = [],
  ): Promise<Ended> {
    const command = this.start(args, env, wrapper);
    command.endInput();
    return command.ended;
  }

  start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    wrapper: readonly string[] = [],
  ): RunningCommand {
    const child = Bun.spawn([...this.#wrapper, ...wrapper, process.execPath, join(root, "src/main.ts"), ...args], {
      cwd: this.path,
      env: { HOME: this.path, PATH: process.env["PATH"] ?? "", TZ: "UTC", ...this.#env, ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    let out = "";
    let err = "";
    let wake = Promise.withResolvers<void>();
    const pump = async (stream: ReadableStream<Uint8Array>, add: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        add(decoder.decode(chunk, { stream: true }));
        wake.resolve();
        wake = Promise.withResolvers();
      }
    };
    const pumps = [pump(child.stdout, (text) => (out += text)), pump(child.stderr, (text) => (err += text))];
    let isOver = false;
    const ended = Promise.all([child.exited, ...pumps]).then(([code]) => {
      isOver = true;
      wake.resolve();
      return { code, out, err };
    });
    return {
      ended,
      said: () => err + out,
      async says(pattern) {
        for (;;) {
          const match = pattern.exec(err) ?? pattern.exec(out);
          if (match) return match;
          if (isOver) throw new Error(`It ended without saying ${String(pattern)}: ${err}${out}`);
          await wake.promise;
        }
      },
      type(text) {
        void child.stdin.write(text);
        void child.stdin.flush();
      },
      endInput: () => void child.stdin.end(),
      kill: (signal) => child.kill(signal),
    };
  }

  /** Runs it on a terminal of `columns`, typing `keys` when it asks; what the screen showed. */
  async onTerminal(args: readonly string[], keys: string, env: Readonly<Record<string, string>> = {}, columns = 200) {
    let screen = "";
    const asked = Promise.withResolvers<void>();
    const child = Bun.spawn([process.execPath, join(root, "src/main.ts"), ...args], {
      cwd: this.path,
      env: { HOME: this.path, PATH: process.env["PATH"] ?? "", TERM: "xterm", ...this.#env, ...env },
      terminal: {
        cols: columns,
        rows: 50,
        data(_terminal, data) {
          screen += new TextDecoder().decode(data);
          if (screen.includes("[y/N]")) asked.resolve();
        },
      },
    });
    await Promise.race([asked.promise, child.exited]);
    child.terminal?.write(keys);
    const code = await child.exited;
    child.terminal?.close();
    return { code, screen };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
