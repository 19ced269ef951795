import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/command-table.ts";
import { SETTINGS, type Setting } from "../../src/config/settings.ts";
import { isObject, parseJson } from "../../src/lib/json.ts";
import type { Ended } from "./cli.ts";
import { freePort } from "./ports.ts";

/** What nobody should read after a failure that happens to correct programs, nor a terminal be told to do. */
export const UNFIT =
  // eslint-disable-next-line no-control-regex -- the escape character begins every sequence
  /\b(?:is|be) a bug\b|^\s+at .+:\d+|\bNaN\b|\bundefined\b|\[object|expected \w+, received|ZodError|SyntaxError|TypeError|Unhandled|EPIPE|broken pipe|[\u001b\u0080-\u009f\u202a-\u202e\u2066-\u2069]/im;

/**
 * What every command is walked with: the first example of its help, and each word that may stand behind its name, so
 * that a new command is walked as soon as it is in the table.
 */
export function everyCommand(): string[][] {
  return Object.entries(COMMANDS).flatMap(([name, { words, examples }]) => {
    const [first] = examples.map(([example]) => wordsOf(example));
    const others = (words ?? []).filter((word) => first?.[1] !== word);
    return [...(first ? [first] : []), ...others.map((word) => [name, word])];
  });
}

/** One command of a shell line: what is piped into it or behind it is left out. */
function wordsOf(example: string): string[] {
  const own = example.replace(/^.*\| plansocket /, "").replace(/ [|>] .*$/, "");
  const words = Array.from(own.matchAll(/"([^"]*)"|\S+/g), ([word, quoted]) => quoted ?? word);
  // The examples' ports are fixed, and many commands run at once.
  return words.map((word, index) => (words[index - 1] === "--port" ? "0" : word));
}

/** Where commands run, and what is wrong there. */
export interface World {
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the one given after it. */
  readonly wrapper?: readonly string[];
  /** A module that is loaded before the program, as in quick-pauses. */
  readonly preload?: string;
  /** What stands in each home besides the login and a log. */
  readonly furnish?: (home: string) => void;
  /** Nobody reads what lasting commands say: they are told to end once their relay answers. */
  readonly isBlind?: boolean;
  /** Folder of the homes. */
  readonly homes?: string;
  /** Called when all homes stand, before the first command runs. */
  readonly begin?: () => void;
  close?(): Promise<unknown> | void;
}

export interface Walked extends Ended {
  readonly words: readonly string[];
  /** Its home folder, which is gone by now. */
  readonly home: string;
}

export interface WalkOptions {
  /** The login file of each home. */
  readonly login: object;
  /** Commands that end only when they are told to, by their words: they are told once they have said this. */
  readonly lasting: Readonly<Record<string, RegExp>>;
}

/** Enough to fill both cores, few enough that no command waits until its limits. */
const AT_ONCE = 6;
/** Nothing takes so long that is not stuck. */
const LIMIT_MS = 25_000;

/** Runs commands in homes of their own, each with the whole program bundled once: a third of the time from source. */
export class Walker {
  readonly #folder = mkdtempSync(join(tmpdir(), "plansocket-walk-"));
  readonly #options: WalkOptions;
  #program = "";

  constructor(options: WalkOptions) {
    this.#options = options;
    const bin = join(this.#folder, "bin");
    mkdirSync(bin);
    // No browser, no service manager, no tool of this machine.
    for (const tool of ["sh", "true"]) symlinkSync(Bun.which(tool) ?? "", join(bin, tool));
    for (const stub of ["claude", "python"]) {
      writeFileSync(join(bin, stub), "#!/bin/sh\nexit 0\n");
      chmodSync(join(bin, stub), 0o755);
    }
  }

  async build(): Promise<void> {
    const entrypoints = [join(import.meta.dir, "../../src/main.ts")];
    const outdir = join(this.#folder, "program");
    await Bun.build({ entrypoints, target: "bun", splitting: true, outdir, publicPath: `${outdir}/` });
    this.#program = join(this.#folder, "program/main.js");
  }

  /** Every command in a world, in the order given. */
  async walk(world: World, commands: readonly (readonly string[])[]): Promise<Walked[]> {
    const homes = commands.map(() => this.#home(world));
    world.begin?.();
    const results: Walked[] = [];
    const waiting = commands.entries();
    const work = async () => {
      for (const [index, words] of waiting) results[index] = await this.#run(world, words, homes[index] ?? "");
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } finally {
      await world.close?.();
      for (const home of homes) rmSync(home, { recursive: true, force: true });
    }
    return results;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #home({ homes = tmpdir(), furnish }: World): string {
    const home = mkdtempSync(join(homes, "plansocket-walk-home-"));
    mkdirSync(join(home, ".codex"));
    writeFileSync(join(home, ".codex/auth.json"), JSON.stringify(this.#options.login), { mode: 0o600 });
    mkdirSync(join(home, ".local/state/plansocket"), { recursive: true, mode: 0o700 });
    writeFileSync(join(home, ".local/state/plansocket/plansocket.log"), "a line of the log\n", { mode: 0o600 });
    furnish?.(home);
    return home;
  }

  async #run(world: World, words: readonly string[], home: string): Promise<Walked> {
    const preload = world.preload === undefined ? [] : ["--preload", world.preload];
    const port = freePort();
    const child = Bun.spawn([...(world.wrapper ?? []), process.execPath, ...preload, this.#program, ...words], {
      cwd: home,
      env: {
        HOME: home,
        PATH: join(this.#folder, "bin"),
        TZ: "UTC",
        PLANSOCKET_PORT: String(port),
        ...world.env,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const lasting = this.#options.lasting[words.join(" ")];
    let said = "";
    let isStopped = false;
    const stop = () => {
      if (!isStopped) child.kill("SIGTERM");
      isStopped = true;
    };
    if (lasting && world.isBlind === true) void onceAnswering(child, port, stop);
    const pump = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const bytes of stream) {
        const chunk = decoder.decode(bytes, { stream: true });
        text += chunk;
        said += chunk;
        endBackground(said);
        if (lasting?.test(said) === true) stop();
      }
      return text;
    };
    const late = Promise.withResolvers<undefined>();
    const limit = setTimeout(() => {
      child.kill("SIGKILL");
      late.resolve(undefined);
    }, LIMIT_MS);
    const ended = await Promise.race([
      Promise.all([child.exited, pump(child.stdout), pump(child.stderr)]),
      late.promise,
    ]);
    clearTimeout(limit);
    endLeft(home);
    if (!ended) return { words, home, code: -1, out: said, err: `It did not end within ${LIMIT_MS / 1000} s.` };
    const [code, out, err] = ended;
    // Told to stop it ends by its own order or by the signal; both are as they should be.
    return { words, home, code: isStopped && code === 143 ? 0 : code, out, err };
  }
}

const stopped = new Set<number>();

/** Ends the relay that a command has left in the background. */
function endBackground(said: string): void {
  const pid = Number(/runs in the background on \S+ \(pid (\d+)\)/.exec(said)?.[1]);
  if (!(pid > 0) || stopped.has(pid)) return;
  stopped.add(pid);
  process.kill(pid, "SIGKILL");
}

/** The same where nobody could read what the command said: its state file names the process. */
function endLeft(home: string): void {
  const path = join(home, ".local/state/plansocket/background.json");
  const state: unknown = existsSync(path) ? parseJson(readFileSync(path, "utf8")) : undefined;
  const pid = isObject(state) ? Number(state["pid"]) : 0;
  if (!(pid > 0) || stopped.has(pid)) return;
  stopped.add(pid);
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

async function onceAnswering(child: Bun.Subprocess, port: number, then: () => void): Promise<void> {
  while (child.exitCode === null) {
    if (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined)) then();
    await Bun.sleep(20);
  }
}

/** Variables that lead every setting whose value is a server's address to one origin. */
export function allTo(origin: string): Record<string, string> {
  const env: Record<string, string> = { PLANSOCKET_BASE_URL: `${origin}/backend-api/codex` };
  for (const { key, env: names } of Object.values<Setting>(SETTINGS)) {
    const [name] = names;
    if (/url$|issuer/i.test(key) && name !== undefined) env[name] ??= `${origin}/${key}`;
  }
  return { ...env, PLANSOCKET_ISSUER: origin };
}
