import { z } from "zod";
import type { ResponseMemory, ResponseStore, StoredTurn } from "../codex/response-store.ts";
import { listOf, isObject, parseJson } from "../lib/json.ts";
import { roughJsonSize } from "../lib/large-json.ts";
import type { Log } from "../lib/log.ts";
import { script, type StoreConnection } from "../store/connection.ts";
import type { Sealer } from "../store/sealing.ts";
import { messageOf } from "../lib/thrown.ts";

/** As long as a replica's own memory keeps them. */
const MAX_AGE_MS = 60 * 60_000;
/** Of all replicas together. */
const MAX_RESPONSES = 4096;
const MAX_BYTES = 256 * 1024 * 1024;
/** A response larger than this stays with the replica that made it. In bytes as it is stored. */
const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
/** References of one request that are looked for elsewhere. */
const MAX_REFERENCES = 64;
/** Another replica may be about to write what a client was just told: pauses between looks for an id that nobody has. */
const LATER_MS = [20, 60, 150];

/** Beginnings of keys for one client, and the index of all. ARGV[1] is the client's id. */
const PLACES = `local function place(id) return KEYS[2] .. ARGV[1] .. ':' .. id end
local function member(id) return ARGV[1] .. '\\n' .. id end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function forget(name)
  local split = string.find(name, '\\n', 1, true)
  redis.call('DEL', KEYS[2] .. string.sub(name, 1, split - 1) .. ':' .. string.sub(name, split + 1))
  redis.call('ZREM', KEYS[1], name)
  local size = redis.call('HGET', KEYS[3], name)
  if size then
    redis.call('HDEL', KEYS[3], name)
    redis.call('HINCRBY', KEYS[3], 'all', -tonumber(size))
  end
end
`;

/** ARGV client, id, sealed, ids that it goes on from, ids of its items. */
const REMEMBER = script(`${PLACES}
forget(member(ARGV[2]))
redis.call('HSET', place(ARGV[2]), 'data', ARGV[3], 'line', ARGV[4])
redis.call('PEXPIRE', place(ARGV[2]), ${MAX_AGE_MS})
redis.call('ZADD', KEYS[1], now, member(ARGV[2]))
redis.call('HSET', KEYS[3], member(ARGV[2]), #ARGV[3])
redis.call('HINCRBY', KEYS[3], 'all', #ARGV[3])
for item in string.gmatch(ARGV[5], '%S+') do
  redis.call('SET', KEYS[4] .. ARGV[1] .. ':' .. item, ARGV[2], 'PX', ${MAX_AGE_MS})
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, now - ${MAX_AGE_MS})) do forget(name) end
while redis.call('ZCARD', KEYS[1]) > ${MAX_RESPONSES} or tonumber(redis.call('HGET', KEYS[3], 'all')) > ${MAX_BYTES} do
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0)
  if not oldest[1] then break end
  forget(oldest[1])
end
return 1`);

/** The ids that a response goes on from, with its own as the last one, all used now. ARGV client, id. */
const LINE = script(`${PLACES}
local line = redis.call('HGET', place(ARGV[2]), 'line')
if not line then return false end
line = line == '' and ARGV[2] or line .. ' ' .. ARGV[2]
for id in string.gmatch(line, '%S+') do
  if redis.call('PEXPIRE', place(id), ${MAX_AGE_MS}) == 1 then redis.call('ZADD', KEYS[1], now, member(id)) end
end
return line`);

/** ARGV client, ids. */
const FETCH = script(`${PLACES}
local found = {}
for index = 2, #ARGV do found[index - 1] = redis.call('HGET', place(ARGV[index]), 'data') end
return found`);

/** ARGV client, id. */
const FORGET = script(`${PLACES}
local there = redis.call('EXISTS', place(ARGV[2]))
forget(member(ARGV[2]))
return there`);

/** Responses that these items belong to. ARGV client, ids of items. */
const OWNERS = script(`local found = {}
for index = 2, #ARGV do found[index - 1] = redis.call('GET', KEYS[4] .. ARGV[1] .. ':' .. ARGV[index]) end
return found`);

const item = z.custom<StoredTurn["input"][number]>(isObject);
const Turn = z.object({
  id: z.string(),
  previousId: z.string().optional(),
  input: z.array(item),
  output: z.array(item),
  response: z.record(z.string(), z.unknown()),
});

/** Ids that can stand in the store's lists. */
const PLAIN_ID = /^[\w.:-]{1,200}$/;

export interface SharedResponsesOptions {
  readonly store: StoreConnection;
  readonly sealer: Sealer;
  /** This replica's own memory, which is filled with what its requests refer to. */
  readonly local: ResponseStore;
  readonly log: Log;
  readonly now: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/**
 * Responses that replicas share, encrypted in a store. Each replica answers from its own memory; before a request is
 * read, what it refers to is brought there, and what was deleted elsewhere is taken out. Requests that refer to nothing
 * cost the store nothing.
 */
export class SharedResponses {
  readonly #options: SharedResponsesOptions;
  /** On their way into the store, by client and id. */
  readonly #writing = new Map<string, Promise<void>>();
  /** The store has not got them: it was away, or they are too large. */
  readonly #onlyHere = new Set<string>();

  constructor(options: SharedResponsesOptions) {
    this.#options = options;
  }

  /** The memory of one client. What it keeps goes into the store without being waited for. */
  ofClient(clientId: string): ResponseMemory {
    const own = this.#options.local.ofClient(clientId);
    return {
      ...own,
      remember: (turn, nowMs) => {
        own.remember(turn, nowMs);
        this.#write(clientId, turn);
      },
    };
  }

  /** Brings what a request's body refers to into this replica's memory. Never throws. */
  async bring(clientId: string, body: unknown): Promise<void> {
    if (!isObject(body) || !this.#options.store.isUp) return;
    const { previous_response_id: previousId, input } = body;
    try {
      if (typeof previousId === "string") await this.bringResponse(clientId, previousId);
      if (Array.isArray(input)) await this.#bringItems(clientId, input);
    } catch (error) {
      this.#options.log.debug("The store could not say what a request refers to.", {
        reason: messageOf(error),
      });
    }
  }

  /** The same for one response, which is known here afterwards if any replica knows it. Throws `store_unavailable`. */
  async bringResponse(clientId: string, id: string): Promise<void> {
    const key = keyOf(clientId, id);
    if (!PLAIN_ID.test(id) || this.#onlyHere.has(key)) return;
    await this.#writing.get(key);
    const { local, now } = this.#options;
    const isKnown = local.get(id, now(), clientId) !== undefined;
    const line = await this.#line(clientId, id, isKnown);
    if (line === undefined) {
      // Deleted by its client, through another replica.
      if (isKnown && !this.#onlyHere.has(key)) local.forget(id, clientId);
      return;
    }
    if (!isKnown) await this.#fetch(clientId, line);
  }

  /** Deletes it for all replicas; false when nobody knew it. Throws `store_unavailable`. */
  async forget(clientId: string, id: string): Promise<boolean> {
    const key = keyOf(clientId, id);
    await this.#writing.get(key);
    this.#onlyHere.delete(key);
    const isHere = this.#options.local.forget(id, clientId);
    if (!PLAIN_ID.test(id)) return isHere;
    return (await this.#run(FORGET, [clientId, id])) === 1 || isHere;
  }

  /** Waits for what is on its way into the store. */
  async settle(): Promise<void> {
    await Promise.all(this.#writing.values());
  }

  /** Ids from the first turn to this one; undefined where the store does not have it. */
  async #line(clientId: string, id: string, isKnown: boolean): Promise<readonly string[] | undefined> {
    const sleep = this.#options.sleep ?? ((ms: number) => Bun.sleep(ms));
    for (const pauseMs of [...(isKnown ? [] : LATER_MS), undefined]) {
      const line = await this.#run(LINE, [clientId, id]);
      if (typeof line === "string") return line.split(" ");
      if (pauseMs !== undefined) await sleep(pauseMs);
    }
    return undefined;
  }

  async #fetch(clientId: string, line: readonly string[]): Promise<void> {
    const { local, now } = this.#options;
    const missing = line.filter((id) => local.get(id, now(), clientId) === undefined);
    const reply = await this.#run(FETCH, [clientId, ...missing]);
    const sealed = listOf(reply);
    // A turn without one that it goes on from is none.
    if (sealed.length !== missing.length || sealed.some((one) => typeof one !== "string")) return;
    for (const [index, id] of missing.entries()) {
      const turn = this.#opened(clientId, id, String(sealed[index]));
      if (!turn) return;
      local.remember(turn, now(), clientId);
    }
  }

  async #bringItems(clientId: string, input: readonly unknown[]): Promise<void> {
    const { local, now } = this.#options;
    const wanted = input
      .map(referenceIn)
      .filter((id) => id !== undefined && PLAIN_ID.test(id))
      .slice(0, MAX_REFERENCES);
    const missing = wanted.flatMap((id) => (id !== undefined && !local.item(id, now(), clientId) ? [id] : []));
    if (missing.length === 0) return;
    for (const id of await this.#owners(clientId, missing)) await this.bringResponse(clientId, id);
  }

  async #owners(clientId: string, items: readonly string[]): Promise<ReadonlySet<string>> {
    const sleep = this.#options.sleep ?? ((ms: number) => Bun.sleep(ms));
    for (const pauseMs of [...LATER_MS, undefined]) {
      const reply = listOf(await this.#run(OWNERS, [clientId, ...items]));
      const owners = reply.filter((id) => typeof id === "string");
      if (owners.length === items.length || pauseMs === undefined) return new Set(owners);
      await sleep(pauseMs);
    }
    return new Set();
  }

  #write(clientId: string, turn: StoredTurn): void {
    const { local, log } = this.#options;
    const line = local.lineOf(turn.id, clientId);
    const key = keyOf(clientId, turn.id);
    const isTooLarge = roughJsonSize(turn, MAX_RESPONSE_BYTES).characters > MAX_RESPONSE_BYTES / 2;
    if (line === undefined || ![turn.id, ...line].every((id) => PLAIN_ID.test(id))) return;
    if (isTooLarge || line.some((id) => this.#onlyHere.has(keyOf(clientId, id)))) return this.#keepHere(key);
    const ids = [...turn.input, ...turn.output].flatMap(({ id }) =>
      typeof id === "string" && PLAIN_ID.test(id) ? [id] : [],
    );
    const place = this.#place(clientId, turn.id);
    const values = [
      clientId,
      turn.id,
      this.#options.sealer.seal(JSON.stringify(turn), place),
      line.join(" "),
      ids.join(" "),
    ];
    const writing = this.#run(REMEMBER, values)
      .then(
        () => {},
        (error: unknown) => {
          this.#keepHere(key);
          log.debug("A response could not be shared.", { reason: messageOf(error) });
        },
      )
      .finally(() => this.#writing.delete(key));
    this.#writing.set(key, writing);
  }

  #keepHere(key: string): void {
    this.#onlyHere.add(key);
    for (const oldest of this.#onlyHere) {
      if (this.#onlyHere.size <= MAX_RESPONSES) return;
      this.#onlyHere.delete(oldest);
    }
  }

  #opened(clientId: string, id: string, sealed: string): StoredTurn | undefined {
    const json = parseJson(this.#options.sealer.open(sealed, this.#place(clientId, id)));
    const parsed = Turn.safeParse(json);
    return parsed.success ? { ...parsed.data, previousId: parsed.data.previousId } : undefined;
  }

  #place(clientId: string, id: string): string {
    return this.#options.store.key("response", clientId, id);
  }

  #run(what: Parameters<StoreConnection["run"]>[0], values: readonly string[]): Promise<unknown> {
    const { store } = this.#options;
    const keys = [
      store.key("responses"),
      `${store.key("response")}:`,
      store.key("response-sizes"),
      `${store.key("item")}:`,
    ];
    return store.run(what, keys, values);
  }
}

function keyOf(clientId: string, id: string): string {
  return `${clientId}\n${id}`;
}

/** The id in a reference to an item; its type may be left out. */
function referenceIn(entry: unknown): string | undefined {
  if (!isObject(entry)) return undefined;
  const { type, id } = entry;
  if (typeof id !== "string") return undefined;
  if (type !== undefined && type !== null) return type === "item_reference" ? id : undefined;
  return Object.keys(entry).every((key) => key === "id" || key === "type") ? id : undefined;
}
