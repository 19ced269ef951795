import { createHash } from "node:crypto";
import { RelayError } from "../lib/errors.ts";
import { later, type After } from "../lib/later.ts";
import type { Log } from "../lib/log.ts";
import type { StoreAddress } from "./address.ts";
import { pairsOf } from "./replies.ts";
import { errorCode, messageOf } from "../lib/thrown.ts";

/** One attempt to connect. Short, so that a network that comes back is noticed within a second. */
const CONNECT_MS = 1000;
/** Of whoever starts while the store is away. */
const PATIENCE_MS = 2500;
/** A store in the same data center answers within a few milliseconds. */
const COMMAND_MS = 1500;
/** Between attempts to connect: from the first to the last of a growing row, each shortened by chance. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 400;
/** Between looks at what others have changed, where no message told of it. Also finds connections that are dead. */
const LOOK_MS = 1000;

/** Refusals of a server that still loads, or is only a copy: as good as away. */
const UNFIT = /^(LOADING|READONLY|MASTERDOWN)\b/;

/** A Lua script, which the store runs in one step. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

/** Makes a script known by its digest, so that its text goes over the wire once. */
export function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** Things in the store that change as a whole, each with a version that its writers raise. */
export type Topic = "login" | "spending" | "keys" | "learned" | "forgotten";

export interface StoreOptions {
  readonly address: StoreAddress;
  /** Beginning of every key, in braces: a cluster keeps all of them on one server. */
  readonly prefix: string;
  /** Certificate authorities in PEM besides the built-in ones. */
  readonly authorities?: readonly string[];
  readonly log: Log;
  readonly random?: () => number;
  readonly after?: After;
  /** Makes one of the two connections. */
  readonly connect?: (url: string, options: Bun.RedisOptions) => StoreClient;
}

/** What is used of Bun's own client. */
export type StoreClient = Pick<Bun.RedisClient, "connect" | "send" | "subscribe" | "close" | "onclose">;

interface Wires {
  readonly commands: StoreClient;
  readonly messages: StoreClient;
}

/**
 * One process's way to the store: a connection for commands and one for messages, made again whenever they end. Nobody
 * waits for a store that is away: commands then throw at once.
 */
export class StoreConnection {
  readonly address: StoreAddress;
  /** Commands sent so far; the relay's own looks are not among them. */
  commands = 0;
  readonly #prefix: string;
  readonly #authorities: readonly string[];
  readonly #log: Log;
  readonly #random: () => number;
  readonly #after: After;
  readonly #newClient: NonNullable<StoreOptions["connect"]>;
  readonly #onChange = new Map<string, (version: string) => void>();
  readonly #onReturn: (() => Promise<void>)[] = [];
  readonly #onBack: (() => Promise<void>)[] = [];
  /** As last heard. */
  readonly #versions = new Map<string, string>();
  #wires: Wires | undefined;
  /** What was known here has been brought to the store; before that nobody else may ask it. */
  #isReady = false;
  #isClosed = false;
  #isAwayTold = false;
  #hasBeenUp = false;
  #retryMs = FIRST_RETRY_MS;
  /** Ends the next attempt or look. */
  #forget: () => void = () => {};
  #attempts = 0;
  /** Resolves when the store was reached for the first time. */
  readonly #up = Promise.withResolvers<void>();
  #opening: Promise<void> | undefined;

  constructor(options: StoreOptions) {
    const { address, prefix, authorities = [], log, random = Math.random, after = later } = options;
    this.#after = after;
    this.#newClient = options.connect ?? ((url, how) => new Bun.RedisClient(url, how));
    this.address = address;
    this.#prefix = prefix;
    this.#authorities = authorities;
    this.#log = log;
    this.#random = random;
  }

  get isUp(): boolean {
    return this.#wires !== undefined && this.#isReady;
  }

  /** A key in the store. */
  key(...parts: readonly string[]): string {
    return [`{${this.#prefix}}`, ...parts].join(":");
  }

  /** Called whenever others have changed a topic, at the latest a second after they did. */
  onChange(topic: Topic, listener: (version: string) => void): void {
    this.#onChange.set(topic, listener);
  }

  /** Called each time the store has come back, before anybody else may use it; its commands are `bringing`. */
  onReturn(listener: () => Promise<void>): void {
    this.#onReturn.push(listener);
  }

  /** Called each time the store can be used again. */
  onBack(listener: () => Promise<void>): void {
    this.#onBack.push(listener);
  }

  /** Resolves when the store can be used, or after a few attempts that failed; more are made in the background. */
  open(): Promise<void> {
    this.#opening ??= this.#inTime(this.#up.promise, PATIENCE_MS).catch(() => {});
    if (this.#attempts === 0) void this.#connect();
    return this.#opening;
  }

  /** Runs a script. Throws `store_unavailable`. */
  async run(
    { text, sha }: Script,
    keys: readonly string[],
    values: readonly string[],
    when?: "bringing",
  ): Promise<unknown> {
    const tail = [String(keys.length), ...keys, ...values];
    try {
      return await this.send("EVALSHA", [sha, ...tail], when);
    } catch (error) {
      if (!/\bNOSCRIPT\b/.test(causeText(error))) throw error;
      return this.send("EVAL", [text, ...tail], when);
    }
  }

  /** Sends a command. Throws `store_unavailable`. */
  async send(command: string, values: readonly string[], when?: "bringing"): Promise<unknown> {
    if (!this.#isReady && when !== "bringing") throw this.away();
    this.commands += 1;
    return this.#send(command, values);
  }

  close(): void {
    this.#isClosed = true;
    this.#forget();
    this.#drop(this.#wires);
  }

  /** Why nothing can be asked of the store now, as an error. */
  away(cause?: unknown): RelayError {
    return new RelayError("store_unavailable", `The store at ${this.address.shown} cannot be reached.`, {
      cause,
      hint: "Check that it runs and that --store leads to it.",
      retryAfterMs: 2000,
    });
  }

  async #send(command: string, values: readonly string[]): Promise<unknown> {
    const wires = this.#wires;
    if (!wires) throw this.away();
    try {
      return await this.#inTime(wires.commands.send(command, [...values]), COMMAND_MS);
    } catch (error) {
      if (isRefusal(error) && !UNFIT.test(messageOf(error))) throw this.#refused(error);
      // A connection that does not answer is dead, though nothing has told of it. Behind one to an unfit server there may
      // be another by now.
      this.#drop(wires);
      throw this.away(error);
    }
  }

  async #inTime<T>(work: Promise<T>, limitMs: number): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const forget = this.#after(limitMs, () => reject(new Error("no answer in time")), "awaited");
    try {
      return await Promise.race([work, late]);
    } finally {
      forget();
      work.catch(() => {});
    }
  }

  #refused(error: unknown): RelayError {
    const reason = messageOf(error).slice(0, 200);
    return new RelayError("store_unavailable", `The store refused a command: ${reason}`, {
      cause: error,
      hint: hintFor(reason),
      retryAfterMs: 2000,
    });
  }

  async #connect(): Promise<void> {
    if (this.#isClosed) return;
    this.#attempts += 1;
    const wires = { commands: this.#client(), messages: this.#client() };
    try {
      await this.#inTime(Promise.all([wires.commands.connect(), wires.messages.connect()]), 2 * CONNECT_MS);
      await this.#inTime(
        wires.messages.subscribe(this.key("changes"), (message) => this.#hear(message)),
        COMMAND_MS,
      );
      await this.#proveFit(wires);
    } catch (error) {
      closeBoth(wires);
      this.#tellAway(error);
      return this.#later();
    }
    if (this.#isClosed) return closeBoth(wires);
    for (const wire of [wires.commands, wires.messages]) {
      // eslint-disable-next-line unicorn/prefer-add-event-listener -- Bun's client is no EventTarget
      wire.onclose = () => this.#drop(wires);
    }
    this.#wires = wires;
    this.#retryMs = FIRST_RETRY_MS;
    await this.#look();
    if (this.#wires !== wires) return;
    for (const listener of this.#onReturn) await listener().catch(() => {});
    if (this.#wires !== wires) return;
    this.#isReady = true;
    for (const listener of this.#onBack) await listener().catch(() => {});
    if (this.#wires !== wires) return;
    if (this.#isAwayTold) this.#log.info("The store is back.", { store: this.address.shown });
    this.#isAwayTold = false;
    this.#hasBeenUp = true;
    this.#up.resolve();
  }

  /** A copy, or a server that still loads, says so at the first write. Throws what it says. */
  async #proveFit({ commands }: Wires): Promise<void> {
    try {
      await this.#inTime(commands.send("HSET", [this.key("versions"), "probe", "1"]), COMMAND_MS);
    } catch (error) {
      if (!isRefusal(error) || UNFIT.test(messageOf(error))) throw error;
    }
  }

  #client(): StoreClient {
    const { url, isTls } = this.address;
    // Bun's own reconnecting tries each time longer, and keeps commands for a store that may never come back.
    const usual = { autoReconnect: false, enableOfflineQueue: false, connectionTimeout: CONNECT_MS };
    const tls = isTls && this.#authorities.length > 0 ? { tls: { ca: [...this.#authorities] } } : {};
    return this.#newClient(url, { ...usual, ...tls });
  }

  /** The two belong together: without messages changes would go unheard. */
  #drop(wires: Wires | undefined): void {
    if (!wires || this.#wires !== wires) return;
    this.#wires = undefined;
    this.#isReady = false;
    this.#forget();
    closeBoth(wires);
    if (this.#isClosed) return;
    this.#tellAway(undefined);
    this.#later();
  }

  #later(): void {
    if (this.#isClosed) return;
    const waitMs = this.#retryMs * (0.5 + this.#random() / 2);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    this.#forget = this.#after(waitMs, () => void this.#connect());
  }

  #tellAway(error: unknown): void {
    if (this.#isAwayTold) return;
    this.#isAwayTold = true;
    const what = this.#hasBeenUp ? "The store is away" : "The store cannot be reached";
    this.#log.warn(`${what}; answers go on with the login in hand, and nothing is renewed until it is back.`, {
      store: this.address.shown,
      ...(error === undefined ? {} : { reason: causeText(error) }),
    });
  }

  /** Versions of all topics, now and every second from now on. */
  async #look(): Promise<void> {
    this.#forget();
    try {
      const reply = await this.#send("HGETALL", [this.key("versions")]);
      for (const [topic, version] of pairsOf(reply)) this.#heard(topic, version);
    } catch {
      // A connection that has ended is made anew by then.
      if (!this.#wires) return;
    }
    this.#forget = this.#after(LOOK_MS, () => void this.#look());
  }

  /** `topic version`, as writers publish it. */
  #hear(message: string): void {
    const [topic = "", version = ""] = message.split(" ");
    this.#heard(topic, version);
  }

  #heard(topic: string, version: string): void {
    if (this.#versions.get(topic) === version) return;
    this.#versions.set(topic, version);
    this.#onChange.get(topic)?.(version);
  }
}

/** Lines of a script that raise a topic's version and tell everybody; `version` is a Lua expression. */
export function announcing(topic: Topic, version: string, versionsKey: string, channel: string): string {
  return `redis.call('HSET', ${versionsKey}, '${topic}', ${version})
redis.call('PUBLISH', ${channel}, '${topic} ' .. ${version})`;
}

function closeBoth({ commands, messages }: Wires): void {
  commands.close();
  messages.close();
}

/** True for what the store itself said; the connection is fine then. */
function isRefusal(error: unknown): boolean {
  return errorCode(error) === "ERR_REDIS_SERVER_ERROR";
}

function causeText(error: unknown): string {
  if (error instanceof RelayError && error.cause !== undefined) return causeText(error.cause);
  return error instanceof Error ? error.message : String(error);
}

function hintFor(reason: string): string {
  if (/^(NOPERM|NOAUTH|WRONGPASS)/.test(reason))
    return "Give its user the rights to all keys and scripts of the prefix.";
  if (/^(READONLY|MISCONF|OOM)/.test(reason))
    return "It takes no writes: point --store at the primary, with room to spare.";
  if (/^(MOVED|ASK|CROSSSLOT|CLUSTERDOWN)/.test(reason))
    return "Clusters are not supported: use one server, or its proxy.";
  return "Look at the store's own log.";
}
