import { appendFileSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Holding } from "./rig.ts";

/** For people; `HOSTILE_REPORT=FILE` also collects the lines in a file. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
  const file = process.env["HOSTILE_REPORT"];
  if (file) appendFileSync(file, `${line}\n`);
}

/** One line of what was tried, where the books are kept of other processes. */
export function report(part: string, what: string, cases: number, more = ""): void {
  tell(`hostile | ${`${part}: ${what}`.padEnd(34)} | ${String(cases).padStart(6)} cases | ${more}`);
}

/** What a process held before, at the height of it, and after. */
export function held(before: Holding, during: Holding, after: Holding): string {
  const show = (name: keyof Holding) => [before, during, after].map((one) => one[name]).join(" -> ");
  return `descriptors ${show("handles")} | sockets ${show("sockets")} | RSS ${show("rssMb")} MiB`;
}

/** What a process holds; zeros where the system has no /proc to ask. */
export interface Levels {
  readonly descriptors: number;
  readonly sockets: number;
  readonly rssMib: number;
}

/** Far longer than a system takes to close what was let go, shorter than anybody waits. */
const SETTLE_MS = 20_000;

/** Of this process, or of another of the same user. */
export function levels(pid: number | "self" = "self"): Levels {
  const held = descriptors(pid);
  return { descriptors: held.length, sockets: held.filter(isSocket).length, rssMib: rssMib(pid) };
}

/**
 * The books of one class of hostile cases. `close` fails when descriptors or sockets did not return to the level at
 * which the account was opened, and prints the class's line; `HOSTILE_REPORT` names a file that collects the lines.
 */
export class Account {
  readonly #name: string;
  readonly #seed: number | undefined;
  readonly #before: readonly string[];
  readonly #rssMib: number;
  #cases = 0;

  constructor(name: string, seed?: number) {
    this.#name = name;
    this.#seed = seed;
    this.#before = descriptors("self");
    this.#rssMib = rssMib("self");
  }

  tried(cases = 1): void {
    this.#cases += cases;
  }

  /** Once everything that the class started has been stopped. */
  async close(): Promise<void> {
    const left = await this.#settled();
    const after = levels();
    const before = { all: this.#before.length, sockets: this.#before.filter(isSocket).length };
    const line = [
      `hostile | ${this.#name.padEnd(34)} | ${String(this.#cases).padStart(6)} cases`,
      this.#seed === undefined ? "no seed" : `seed ${this.#seed}`,
      `descriptors ${before.all} -> ${after.descriptors}`,
      `sockets ${before.sockets} -> ${after.sockets}`,
      `RSS ${this.#rssMib} -> ${after.rssMib} MiB`,
    ].join(" | ");
    tell(line);
    if (this.#cases === 0) throw new Error(`${this.#name}: nothing was tried`);
    if (left.length > 0) throw new Error(`${this.#name} left open: ${left.join(", ")}`);
  }

  /** What is still open too much; waits for sockets that are closing. */
  async #settled(): Promise<string[]> {
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      // What only the garbage collector can close was leaked by whoever forgot to.
      const now = descriptors("self");
      const isMore = now.length > this.#before.length;
      const hasMoreSockets = now.filter(isSocket).length > this.#before.filter(isSocket).length;
      if (!isMore && !hasMoreSockets) return [];
      if (performance.now() > deadline) return now.filter((name) => !this.#before.includes(name));
      await Bun.sleep(20);
    }
  }
}

function isSocket(name: string): boolean {
  return name.startsWith("socket:");
}

/** What the open descriptors of a process lead to. */
function descriptors(pid: number | "self"): string[] {
  if (process.platform !== "linux") return [];
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`)];
    } catch {
      return []; // The one that reads the folder, or one that was closed since.
    }
  });
}

function rssMib(pid: number | "self"): number {
  if (process.platform !== "linux") return pid === "self" ? Math.round(process.memoryUsage.rss() / 2 ** 20) : 0;
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kib ?? 0) / 1024);
}
