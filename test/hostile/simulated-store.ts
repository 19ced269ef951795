import { setSystemTime } from "bun:test";
import Redis from "ioredis-mock";
import type { StoreClient } from "../../src/store/connection.ts";
import type { EventTime } from "./event-time.ts";

/** One way through the network. */
const LEAST_DELAY_MS = 0.2;
const MOST_DELAY_MS = 15;
/** What waited for a network that was cut arrives within this long after it is back. */
const RESEND_MS = 300;

/** The network between one replica and the store. */
export interface Way {
  isCut: boolean;
  /** Waits by the replica's own time, which stands still while it is paused and ends with it. */
  readonly sleep: (ms: number) => Promise<void>;
}

interface Link {
  readonly way: Way;
  readonly end: () => void;
  listener: ((message: string) => void) | undefined;
}

/** What is in the store at one time. */
type Contents = readonly (readonly [key: string, fields: Record<string, string>])[];

/**
 * A store in simulated time: another project's model of Redis runs the scripts, this is the network before it, its
 * clock, and its deaths. Connections to a cut network hang, as nothing tells that it is cut.
 */
export class SimulatedStore {
  readonly #time: EventTime;
  readonly #random: () => number;
  readonly #redis = new Redis();
  readonly #scripts = new Map<string, string>();
  readonly #links = new Set<Link>();
  #isUp = true;
  #skewMs = 0;
  /** Out of memory: it takes no writes, but still deletes. */
  isFull = false;
  #onDisk: Contents = [];

  constructor(time: EventTime, random: () => number) {
    this.#time = time;
    this.#random = random;
  }

  /** All stores of this process are one in the model. */
  async start(): Promise<void> {
    await this.#time.during(this.#fill([]));
  }

  client(way: Way): StoreClient {
    const closed = Promise.withResolvers<never>();
    closed.promise.catch(() => {});
    const link: Link = {
      way,
      listener: undefined,
      end: () => client.onclose?.call(undefined as never, new Error("closed")),
    };
    const drop = () => {
      this.#links.delete(link);
      closed.reject(new Error("Connection closed"));
    };
    const alive = <T>(work: Promise<T>): Promise<T> => Promise.race([work, closed.promise]);
    const client: StoreClient = {
      onclose: null,
      connect: () =>
        alive(
          this.#arrive(way).then(() => {
            if (!this.#isUp) throw new Error("Connection refused");
            this.#links.add(link);
          }),
        ),
      subscribe: (async (_channel: string, listener: (message: string) => void) => {
        await alive(this.#arrive(way));
        link.listener = listener;
        return 1;
      }) as StoreClient["subscribe"],
      send: (command, values) => alive(this.#exchange(link, command, values)),
      close: drop,
    };
    return client;
  }

  /** What a store writes to its disk each second. */
  async persist(): Promise<void> {
    if (this.#isUp) this.#onDisk = await this.#time.during(this.#contents());
  }

  /** Killed: connections end where anybody can tell. */
  crash(): void {
    this.#isUp = false;
    for (const link of this.#links) if (!link.way.isCut) link.end();
    this.#links.clear();
  }

  /** Comes back with what was on its disk, or with nothing, perhaps on a machine with another clock. */
  async restart(what: "whole" | "as on disk" | "emptied"): Promise<void> {
    this.#skewMs = (this.#random() - 0.5) * 4000;
    this.#scripts.clear();
    if (what !== "whole") await this.#time.during(this.#fill(what === "emptied" ? [] : this.#onDisk));
    this.#isUp = true;
  }

  async #fill(contents: Contents): Promise<void> {
    await this.#redis.flushall();
    for (const [key, fields] of contents) await this.#redis.hset(key, fields);
  }

  async #contents(): Promise<Contents> {
    const keys = (await this.#redis.keys("*")).filter((key) => !key.endsWith(":login-lock"));
    return Promise.all(keys.map(async (key) => [key, await this.#redis.hgetall(key)] as const));
  }

  async #exchange(link: Link, command: string, values: readonly string[]): Promise<unknown> {
    await this.#arrive(link.way);
    if (!this.#isUp || !this.#links.has(link)) throw new Error("Connection closed");
    const reply = await this.#time.during(this.#run(command, values));
    await this.#arrive(link.way);
    return reply;
  }

  async #run(command: string, values: readonly string[]): Promise<unknown> {
    const storeMs = this.#time.now() + this.#skewMs;
    setSystemTime(new Date(storeMs));
    if (command === "HGETALL") return this.#redis.hgetall(values[0] ?? "");
    if (command === "HSET") return this.#redis.hset(...(values as [string, ...string[]]));
    const [source = "", count, ...rest] = values;
    const sha = command === "EVAL" ? new Bun.CryptoHasher("sha1").update(source).digest("hex") : source;
    const text = command === "EVAL" ? source : this.#scripts.get(sha);
    if (text === undefined) {
      throw Object.assign(new Error("NOSCRIPT No matching script."), { code: "ERR_REDIS_SERVER_ERROR" });
    }
    this.#scripts.set(sha, text);
    if (this.isFull && text.includes("'HSET'") && !text.includes("'DEL', KEYS[4]")) {
      const message = "OOM command not allowed when used memory > 'maxmemory'.";
      throw Object.assign(new Error(message), { code: "ERR_REDIS_SERVER_ERROR" });
    }
    // The model's own microseconds are those of this process.
    const timed = text.replaceAll(
      "redis.call('TIME')",
      `{${Math.floor(storeMs / 1000)}.0, ${Math.floor(storeMs % 1000) * 1000}.0}`,
    );
    const published = timed.replaceAll("redis.call('PUBLISH', ", "redis.call('RPUSH', 'published:' .. ");
    const reply: unknown = await this.#redis.eval(published, Number(count), ...rest);
    await this.#publish();
    return reply;
  }

  /** Messages are for whoever can be reached now; what is lost is not sent again. */
  async #publish(): Promise<void> {
    for (const list of await this.#redis.keys("published:*")) {
      const messages = await this.#redis.lrange(list, 0, -1);
      await this.#redis.del(list);
      for (const link of this.#links) {
        if (link.way.isCut || !link.listener) continue;
        void this.#arrive(link.way).then(() => messages.forEach((message) => link.listener?.(message)));
      }
    }
  }

  async #arrive(way: Way): Promise<void> {
    await way.sleep(LEAST_DELAY_MS + this.#random() * (MOST_DELAY_MS - LEAST_DELAY_MS));
    while (way.isCut) await way.sleep(RESEND_MS * this.#random());
  }
}
