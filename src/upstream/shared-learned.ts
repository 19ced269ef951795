import { z } from "zod";
import { isObject, parseJson } from "../lib/json.ts";
import { announcing, script, type StoreConnection } from "../store/connection.ts";
import type { Sealer } from "../store/sealing.ts";
import type { LearnedEntry } from "./learned-rejections.ts";

/** What many models and tools teach in some hours; more is not shared. */
const MOST_ENTRIES = 4096;

/** ARGV name, sealed, most. */
const LEARN =
  script(`if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
${announcing("learned", "version", "KEYS[2]", "KEYS[3]")}
return 1`);

const until = z.number();
const Entry = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("adaptation"),
    model: z.string(),
    adaptation: z.custom<Extract<LearnedEntry, { kind: "adaptation" }>["adaptation"]>(isObject),
    untilMs: until,
  }),
  z.object({
    kind: z.literal("tool"),
    key: z.string(),
    form: z.custom<Extract<LearnedEntry, { kind: "tool" }>["form"]>(isObject),
    untilMs: until,
  }),
  z.object({ kind: z.literal("reasoning"), key: z.string(), untilMs: until }),
]);

export interface SharedLearnedOptions {
  readonly store: StoreConnection;
  readonly sealer: Sealer;
  readonly now: () => number;
}

/** What the backend's refusals have taught one replica, for all of them. Sealed: it says what is left out of requests. */
export class SharedLearned {
  readonly #options: SharedLearnedOptions;
  readonly #seen = new Map<string, string>();
  #take: ((entry: LearnedEntry) => void) | undefined;

  constructor(options: SharedLearnedOptions) {
    this.#options = options;
    options.store.onChange("learned", () => void this.#load().catch(() => {}));
    options.store.onBack(() => this.#load());
  }

  /** Who takes what others have learnt. */
  onEntry(take: (entry: LearnedEntry) => void): void {
    this.#take = take;
  }

  /** Tells the others, without being waited for: a store that is away leaves each to learn by itself. */
  tell(name: string, entry: LearnedEntry): void {
    const { store, sealer } = this.#options;
    const keys = ["learned", "versions", "changes"].map((part) => store.key(part));
    const sealed = sealer.seal(JSON.stringify(entry), this.#place(name));
    this.#seen.set(name, sealed);
    void store.run(LEARN, keys, [name, sealed, String(MOST_ENTRIES)]).catch(() => {});
  }

  async #load(): Promise<void> {
    const { store, now } = this.#options;
    const reply = await store.send("HGETALL", [store.key("learned")]);
    if (!isObject(reply)) return;
    for (const [name, sealed] of Object.entries(reply)) {
      if (name === "version" || typeof sealed !== "string" || this.#seen.get(name) === sealed) continue;
      this.#seen.set(name, sealed);
      const entry = this.#opened(name, sealed);
      if (entry && entry.untilMs > now()) this.#take?.(entry);
      else await store.send("HDEL", [store.key("learned"), name]);
    }
  }

  /** Undefined for what nobody with the key has written, or a later version. */
  #opened(name: string, sealed: string): LearnedEntry | undefined {
    try {
      return Entry.safeParse(parseJson(this.#options.sealer.open(sealed, this.#place(name)))).data;
    } catch {
      return undefined;
    }
  }

  #place(name: string): string {
    return `${this.#options.store.key("learned")} ${name}`;
  }
}
