import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { writeAtomically } from "../lib/atomic-file.ts";
import { parseJson } from "../lib/json.ts";
import { lazily } from "../lib/lazily.ts";
import { takeLock } from "../lib/lock-file.ts";
import { readOwn, assertPlainFile } from "../lib/private-file.ts";
import { NO_USAGE, type UsageState } from "./usage-state.ts";

const PRIVATE = 0o600;
/** 512 keys with three windows take a fifth of it. */
const MOST_BYTES = 1024 * 1024;

const stateSchema = lazily(() => {
  const amount = z.number().nonnegative();
  const amounts = z.record(z.string(), amount);
  return z.object({
    version: z.literal(1),
    keys: z.record(
      z.string(),
      z.object({ day: z.string(), tokens: amount, requests: amount, last_used_at_ms: z.number() }),
    ),
    windows: z.record(
      z.string(),
      z.object({
        used_percent: z.number(),
        resets_at_ms: z.number().optional(),
        filled_by: amounts,
        pending: amounts,
        growth: amount,
        weight: amount,
      }),
    ),
  });
});
type State = z.infer<ReturnType<typeof stateSchema>>;

/** Where the counts of the keys of a state folder are. */
export function usagePath(stateFolder: string): string {
  return join(stateFolder, "key-usage.json");
}

/** Where what keys have used is kept. */
export interface UsagePlace {
  /** Undefined where nothing is known. Throws where it cannot be read. */
  read(): UsageState | undefined;
  /** Changes what is kept now, which may be another relay's words, and returns what is kept then. */
  update(change: (state: UsageState) => UsageState): Promise<UsageState>;
}

/** What keys have used, in the state folder: small enough to be written as a whole, and one writer at a time. */
export class UsageFile implements UsagePlace {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Undefined where there is none that can be read. Throws the error of the file system. */
  read(): UsageState | undefined {
    return parseUsage(readOwn(this.path, MOST_BYTES)?.text ?? "");
  }

  /**
   * Changes what the file says now, which may be another relay's words, and returns what it says then. One that cannot
   * be read is set aside. Throws the error of the file system.
   */
  async update(change: (state: UsageState) => UsageState): Promise<UsageState> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const unlock = await takeLock(`${this.path}.lock`);
    try {
      const before = this.read();
      if (!before) await rename(this.path, `${this.path}.broken`).catch(() => {});
      const after = change(before ?? NO_USAGE);
      assertPlainFile(this.path);
      await writeAtomically(this.path, `${usageText(after)}\n`, PRIVATE);
      return after;
    } finally {
      await unlock();
    }
  }
}

/** Undefined for what is no such text. */
export function parseUsage(text: string): UsageState | undefined {
  const parsed = stateSchema().safeParse(parseJson(text));
  return parsed.success ? fromFile(parsed.data) : undefined;
}

export function usageText(state: UsageState): string {
  return JSON.stringify(toFile(state));
}

function fromFile({ keys, windows }: State): UsageState {
  return {
    keys: mapped(keys, ({ last_used_at_ms: lastUsedAtMs, ...counts }) => ({ ...counts, lastUsedAtMs })),
    windows: mapped(windows, (window) => ({
      usedPercent: window.used_percent,
      resetsAtMs: window.resets_at_ms,
      filledBy: window.filled_by,
      pending: window.pending,
      growth: window.growth,
      weight: window.weight,
    })),
  };
}

function toFile({ keys, windows }: UsageState): State {
  return {
    version: 1,
    keys: mapped(keys, ({ lastUsedAtMs, ...counts }) => ({ ...counts, last_used_at_ms: lastUsedAtMs })),
    windows: mapped(windows, (window) => ({
      used_percent: window.usedPercent,
      ...(window.resetsAtMs === undefined ? {} : { resets_at_ms: window.resetsAtMs }),
      filled_by: { ...window.filledBy },
      pending: { ...window.pending },
      growth: window.growth,
      weight: window.weight,
    })),
  };
}

function mapped<From, To>(values: Readonly<Record<string, From>>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}
