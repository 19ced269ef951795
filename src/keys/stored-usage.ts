import { RelayError } from "../lib/errors.ts";
import { script, type StoreConnection } from "../store/connection.ts";
import { parseUsage, usageText, type UsagePlace } from "./usage-file.ts";
import { NO_USAGE, type UsageState } from "./usage-state.ts";

/** Others who write at the same moment: each attempt meets one of them at most. */
const ATTEMPTS = 32;

/** ARGV what was there, what is to be there. */
const REPLACE = script(`if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`);

/** What keys have used, as replicas count it together. */
export class StoredUsage implements UsagePlace {
  readonly #store: StoreConnection;
  #known: UsageState | undefined;

  constructor(store: StoreConnection) {
    this.#store = store;
  }

  /** As it was last heard. */
  read(): UsageState | undefined {
    return this.#known;
  }

  /** Throws `store_unavailable`. */
  async load(): Promise<UsageState> {
    await this.#store.open();
    return parseUsage(await this.#text()) ?? NO_USAGE;
  }

  async update(change: (state: UsageState) => UsageState): Promise<UsageState> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await this.#text();
      const after = change(parseUsage(before) ?? NO_USAGE);
      if ((await this.#store.run(REPLACE, [this.#store.key("key-usage")], [before, usageText(after)])) === 1) {
        this.#known = after;
        return after;
      }
    }
    throw new RelayError("store_unavailable", "Others keep changing what keys have used.");
  }

  async #text(): Promise<string> {
    const text = await this.#store.send("GET", [this.#store.key("key-usage")]);
    const state = typeof text === "string" ? text : "";
    this.#known = parseUsage(state) ?? this.#known;
    return state;
  }
}
