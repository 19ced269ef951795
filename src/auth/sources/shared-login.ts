import { z } from "zod";
import { RelayError } from "../../lib/errors.ts";
import { sha256Hex } from "../../lib/hash.ts";
import { parseJson } from "../../lib/json.ts";
import { later, type After } from "../../lib/later.ts";
import { announcing, script, type StoreConnection } from "../../store/connection.ts";
import { textsOf } from "../../store/replies.ts";
import type { Sealer } from "../../store/sealing.ts";
import { mergedTokens } from "../held-login.ts";
import type { CredentialSource, FreshTokens, LockOptions, Login, LoginLock, Tokens } from "./source.ts";

/** How long things take that no replica can be asked about. */
export interface SharedLoginTiming {
  /** A replica that died lets go of the lock after this long; one that lives holds it on. */
  readonly lockMs: number;
  /** After a store was emptied, or came back, other replicas may hold a newer login and need a moment to bring it. */
  readonly settleMs: number;
  /** A replica that began to spend a token and is heard of no more may be cut off from the store with what it got. */
  readonly spendingMs: number;
}

/** A call that renews takes at most 30 s; a store that comes back is found within one. */
const TIMING: SharedLoginTiming = { lockMs: 15_000, settleMs: 3000, spendingMs: 60_000 };
/** Between attempts to take a lock that another replica has. */
const POLL_MS = 100;
/** For the owner's word, which each renewal that ends meanwhile may come before. */
const REPLACE_ATTEMPTS = 3;
/** Until a login that the store did not take is brought again. */
const SYNC_AGAIN_MS = 1000;
/** Logins that came from the environment, remembered so that an old one does not come in again. */
const MOST_ORIGINS = 16;

/** The store's own clock in milliseconds, and the next fencing token: above all that were ever given, also after the store was emptied. */
const CLOCK = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local cur = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
local function nextFence(known) return math.max(now, cur + 1, last + 1, known + 1) end
local function reserved()
  local fence = text(nextFence(0))
  redis.call('HSET', KEYS[1], 'last', fence)
  return fence
end
local function put(fence, sealed, origins)
  if cur == 0 then redis.call('HSET', KEYS[1], 'born', text(now)) end
  redis.call('HSET', KEYS[1], 'fence', text(fence), 'sealed', sealed, 'origins', origins, 'last', text(math.max(last, fence)))
  redis.call('HDEL', KEYS[1], 'spending', 'spending_by', 'spending_at')
  ${announcing("login", "text(fence)", "KEYS[2]", "KEYS[3]")}
end
local function present()
  return {text(cur), redis.call('HGET', KEYS[1], 'sealed') or '', redis.call('HGET', KEYS[1], 'origins') or ''}
end
`;

/**
 * Of two logins the one with the higher fencing token stays: ARGV fence, sealed, origins, "1" after an absence, and for one
 * that was renewed the token of that which it was renewed from: where the owner has signed in or out since, that stays.
 */
const SYNC = script(`${CLOCK}
local mine = tonumber(ARGV[1])
local from = tonumber(ARGV[5])
if mine > cur and not (from and cur > from) then
  put(mine, ARGV[2], ARGV[3])
  if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'born', text(now)) end
  return {ARGV[1]}
end
if cur > mine or (from and cur > from and cur < mine) or (cur == mine and redis.call('HGET', KEYS[1], 'sealed') ~= ARGV[2]) then return present() end
return {text(cur)}`);

/**
 * The fencing token for a login of the environment. The first one of a store gets the lowest: if it is old, whoever knows
 * a newer one brings it. ARGV origin, milliseconds to settle.
 */
const OFFER = script(`${CLOCK}
local origins = redis.call('HGET', KEYS[1], 'origins') or ''
if cur == 0 then return {'free', '1', ''} end
if string.find(' ' .. origins .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) then return {'known'} end
local born = tonumber(redis.call('HGET', KEYS[1], 'born') or '0')
if now - born < tonumber(ARGV[2]) and now >= born then return {'settling'} end
return {'free', reserved(), origins}`);

/** The fencing token for its owner's word, above all others. */
const NEXT = script(`${CLOCK}
return {reserved(), redis.call('HGET', KEYS[1], 'origins') or ''}`);

/** ARGV fence, what it was sealed as, the same sealed anew. */
const RESEAL =
  script(`if redis.call('HGET', KEYS[1], 'fence') == ARGV[1] and redis.call('HGET', KEYS[1], 'sealed') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'sealed', ARGV[3])
end
return 1`);

/** KEYS[4] is the lock. ARGV holder, milliseconds, known fence, milliseconds to settle. */
const LOCK = script(`${CLOCK}
if redis.call('EXISTS', KEYS[4]) == 1 then return {'held'} end
if cur == 0 then return {'settling'} end
local born = tonumber(redis.call('HGET', KEYS[1], 'born') or '0')
if now - born < tonumber(ARGV[4]) and now >= born then return {'settling'} end
local fence = text(nextFence(tonumber(ARGV[3])))
redis.call('SET', KEYS[4], fence .. ' ' .. ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[1], 'last', fence)
return {'taken', fence}`);

/** ARGV what the lock holds, milliseconds. */
const HOLD_ON = script(`if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[4], ARGV[2])`);

/** Replicas keep the mark in mind as well: a store that dies may lose what it was told last. */
const TELL_SPENDING = announcing("spending", "ARGV[2] .. ':' .. ARGV[3]", "KEYS[2]", "KEYS[3]");

/**
 * ARGV what the lock holds, digest of the refresh token, holder, milliseconds that another's mark counts, known fence. One
 * who lost the lock while it spent may have saved after the login was looked at here.
 */
const CONFIRM = script(`${CLOCK}
if redis.call('GET', KEYS[4]) ~= ARGV[1] or cur > tonumber(ARGV[5]) then return 'lost' end
local mark = redis.call('HMGET', KEYS[1], 'spending', 'spending_at', 'spending_by')
if mark[1] == ARGV[2] and mark[3] ~= ARGV[3] then
  -- A clock that was set back does not make a mark last.
  if now < tonumber(mark[2]) then redis.call('HSET', KEYS[1], 'spending_at', text(now)) end
  if now - tonumber(mark[2]) < tonumber(ARGV[4]) then return 'spending' end
end
redis.call('HSET', KEYS[1], 'spending', ARGV[2], 'spending_by', ARGV[3], 'spending_at', text(now))
${TELL_SPENDING}
return 'mine'`);

/**
 * For a store that came back, perhaps without the mark. ARGV known fence, digest of the refresh token, holder, the mark's
 * age in milliseconds.
 */
const MARK_AGAIN = script(`${CLOCK}
if cur > tonumber(ARGV[1]) or redis.call('HGET', KEYS[1], 'spending') == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'spending', ARGV[2], 'spending_by', ARGV[3], 'spending_at', text(now - tonumber(ARGV[4])))
${TELL_SPENDING}
return 1`);

/** ARGV what the lock holds, holder. */
const RELEASE = script(`if redis.call('HGET', KEYS[1], 'spending_by') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'spending', 'spending_by', 'spending_at')
  ${announcing("spending", "':' .. ARGV[2]", "KEYS[2]", "KEYS[3]")}
end
if redis.call('GET', KEYS[4]) == ARGV[1] then return redis.call('DEL', KEYS[4]) end
return 0`);

const optional = z.string().optional();
const Sealed = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("api-key"), key: z.string() }),
  z.object({ kind: z.literal("personal-token"), token: z.string() }),
  z.object({
    kind: z.literal("chatgpt"),
    tokens: z.object({
      accessToken: optional,
      refreshToken: optional,
      idToken: optional,
      accountId: optional,
      expiresAtMs: z.number().optional(),
      lastRefreshMs: z.number().optional(),
      clientId: optional,
    }),
  }),
]);

/** A login as of one fencing token; without one after a logout. */
interface Held {
  readonly fence: number;
  readonly login: Login | undefined;
  /** As it is in the store; kept so that it can be brought back into one that was emptied. */
  readonly sealed: string;
  readonly origins: string;
}

/** That a refresh token is being spent, by whom, and since when. */
interface Mark {
  readonly digest: string;
  readonly holder: string;
  readonly atMs: number;
}

const NOTHING: Held = { fence: 0, login: undefined, sealed: "", origins: "" };

export interface SharedLoginOptions {
  readonly store: StoreConnection;
  readonly sealer: Sealer;
  /** Its login comes in where the store has none, and when it has another `origin` than those that came in before. */
  readonly first?: (Pick<CredentialSource, "load"> & { readonly origin: string }) | undefined;
  /** Milliseconds that never go back. */
  readonly elapsed?: () => number;
  readonly after?: After;
  readonly timing?: SharedLoginTiming;
}

/**
 * A login that replicas share, encrypted in a store. Every change carries a fencing token that only grows; of two states
 * the higher one stays, so an emptied store gets the newest back from whoever has it, and a paused replica overwrites
 * nothing.
 */
export class SharedLogin implements CredentialSource {
  readonly name: string;
  readonly folder: string;
  readonly elsewhere = "choose another store with --store";
  readonly signIn = "Run `plansocket login` with the same --store, or set OPENAI_REFRESH_TOKEN for one replica.";
  readonly remedy = "Run `plansocket login` with the same --store to sign in again.";
  readonly tokenRemedy = "Run `plansocket login` with the same --store, or give a replica a valid token.";
  readonly #store: StoreConnection;
  readonly #sealer: Sealer;
  readonly #first: SharedLoginOptions["first"];
  readonly #elapsed: () => number;
  readonly #after: After;
  readonly #timing: SharedLoginTiming;
  readonly #owner = crypto.randomUUID();
  #held = NOTHING;
  /** The token that this replica has begun to spend. */
  #spending: { readonly fence: number; readonly refreshToken: string; readonly from: number } | undefined;
  /** Until the result is saved, or could not be. */
  #ownMark: Mark | undefined;
  /** What other replicas were heard to have begun to spend; several, as a store that comes back may tell an older one. */
  #othersMarks: readonly Mark[] = [];
  /** Of a renewed login that the store has not taken yet: the fencing token of the one that it was renewed from. */
  #renewedFrom: number | undefined;
  #forgetSync: () => void = () => {};
  #settledAt = 0;
  #isImported = false;

  constructor(options: SharedLoginOptions) {
    const { store, sealer, first, elapsed = () => performance.now(), after = later, timing = TIMING } = options;
    this.#after = after;
    this.#store = store;
    this.#sealer = sealer;
    this.#first = first;
    this.#elapsed = elapsed;
    this.#timing = timing;
    this.name = `the store ${store.address.shown}`;
    this.folder = this.name;
    store.onChange("login", () => void this.#sync().catch(() => {}));
    store.onChange("spending", (told) => this.#hearSpending(told));
    store.onReturn(() => this.#comeBack());
  }

  get #isUnsynced(): boolean {
    return this.#renewedFrom !== undefined;
  }

  version(): string {
    return `${this.#held.fence}`;
  }

  async load(): Promise<Login | undefined> {
    await this.#store.open();
    try {
      await this.#sync();
      await this.#importFirst();
    } catch (error) {
      // Answers go on with what is in hand.
      if (!this.#held.login) throw error;
    }
    return this.#held.login;
  }

  async save(fresh: FreshTokens, nowMs: number, replaces: string): Promise<boolean> {
    const { login } = this.#held;
    if (login?.kind !== "chatgpt") return false;
    const { refreshToken } = login.tokens;
    // Brought into the store by now.
    if (fresh.refreshToken !== undefined && refreshToken === fresh.refreshToken && !this.#isUnsynced) return true;
    const spending = this.#spending;
    // `replaces` is older where the last renewal was saved late, and nobody was told.
    const isHeir =
      replaces === refreshToken || (fresh.refreshToken !== undefined && fresh.refreshToken !== refreshToken);
    if (spending && spending.refreshToken === refreshToken && isHeir) {
      const next: Login = { kind: "chatgpt", tokens: mergedTokens(login.tokens, fresh, nowMs) };
      const { fence, from } = spending;
      this.#held = { ...this.#held, fence, login: next, sealed: this.#seal(next, fence) };
      this.#renewedFrom = from;
    } else if (refreshToken !== fresh.refreshToken) return false;
    const { fence } = this.#held;
    await this.#sync();
    return this.#held.fence === fence;
  }

  async proveWritable(): Promise<void> {
    await this.#store.send("HSET", [this.#store.key("versions"), "probe", "1"]);
  }

  /** A logout leaves its fencing token behind, so that no replica brings the login back. Throws `store_unavailable`. */
  async replace(login: Login | undefined): Promise<void> {
    await this.#store.open();
    // A renewal may come between the two steps.
    for (let attempt = 0; attempt < REPLACE_ATTEMPTS; attempt += 1) {
      const [fence = "", origins = ""] = textsOf(await this.#run(NEXT, []));
      this.#held = { fence: Number(fence), login, sealed: login ? this.#seal(login, Number(fence)) : "", origins };
      this.#renewedFrom = undefined;
      await this.#sync();
      if (this.#held.fence === Number(fence)) return;
    }
    throw retryLater(CHANGED);
  }

  async lock({ sleep, patienceMs }: LockOptions): Promise<LoginLock> {
    const { fence: before } = this.#held;
    const { lockMs, settleMs } = this.#timing;
    const deadline = this.#elapsed() + patienceMs;
    while (this.#elapsed() < deadline) {
      // Another replica was faster; what it got is looked at, and nothing more is needed.
      if (this.#held.fence !== before)
        return { confirm: () => Promise.reject(retryLater(CHANGED)), release: () => Promise.resolve() };
      const isSettled = this.#elapsed() >= this.#settledAt;
      const values = [this.#owner, String(lockMs), String(this.#held.fence), String(settleMs)];
      const [state, fence] = isSettled ? textsOf(await this.#run(LOCK, values)) : [];
      if (state === "taken" && fence !== undefined) return this.#lockOf(Number(fence));
      await sleep(POLL_MS);
    }
    throw retryLater(
      this.#elapsed() < this.#settledAt
        ? "The store was reached just now, and other replicas may bring it a newer login."
        : "Another replica is renewing the login, or has died while it did.",
    );
  }

  #lockOf(fence: number): LoginLock {
    const mark = `${fence} ${this.#owner}`;
    const { lockMs, spendingMs } = this.#timing;
    let forget = () => {};
    const holdOn = () => {
      void this.#run(HOLD_ON, [mark, String(lockMs)]).catch(() => {});
      forget = this.#after(lockMs / 4, holdOn);
    };
    forget = this.#after(lockMs / 4, holdOn);
    return {
      confirm: async (refreshToken) => {
        const { fence: known, login } = this.#held;
        if (login?.kind !== "chatgpt" || login.tokens.refreshToken !== refreshToken) throw retryLater(CHANGED);
        const digest = sha256Hex(refreshToken);
        if (this.#markOfAnother(digest)) throw retryLater(CUT_OFF);
        const askedAtMs = this.#elapsed();
        const state = await this.#run(CONFIRM, [mark, digest, this.#owner, String(spendingMs), String(known)]);
        if (state === "lost") throw retryLater(CHANGED);
        // A process that slept meanwhile may find its word outlived.
        if (state !== "mine" || this.#elapsed() - askedAtMs > spendingMs / 2) throw retryLater(CUT_OFF);
        this.#spending = { fence, refreshToken, from: known };
        this.#ownMark = { digest, holder: this.#owner, atMs: this.#elapsed() };
      },
      release: async () => {
        forget();
        this.#ownMark = undefined;
        // What keeps others from the token that was spent stays until they can have what came of it. Both end by themselves.
        if (this.#isUnsynced) return;
        await this.#run(RELEASE, [mark, this.#owner]).catch(() => {});
      },
    };
  }

  /** The store came back, perhaps without what it had: what is known here is brought to it, and newer logins are taken. */
  async #comeBack(): Promise<void> {
    this.#settledAt = this.#elapsed() + this.#timing.settleMs;
    await this.#sync("1");
    const { login, fence } = this.#held;
    const current = login?.kind === "chatgpt" && login.tokens.refreshToken ? sha256Hex(login.tokens.refreshToken) : "";
    const mark = this.#ownMark?.digest === current ? this.#ownMark : this.#markOfAnother(current);
    if (!mark) return;
    const ageMs = Math.round(this.#elapsed() - mark.atMs);
    await this.#run(MARK_AGAIN, [String(fence), mark.digest, mark.holder, String(ageMs)], "bringing");
  }

  /** `told` is `DIGEST:HOLDER`, without a digest when the holder no longer spends. */
  #hearSpending(told: string): void {
    const [digest = "", holder = ""] = told.split(":");
    // What the store itself says counts for one that has just come; the message may be old.
    if (holder === this.#owner || this.#held.fence === 0) return;
    const now = this.#elapsed();
    const others = this.#othersMarks.filter((mark) => now - mark.atMs < this.#timing.spendingMs);
    if (digest === "") this.#othersMarks = others.filter((mark) => mark.holder !== holder);
    else if (!others.some((mark) => mark.digest === digest))
      this.#othersMarks = [...others, { digest, holder, atMs: now }];
  }

  #markOfAnother(digest: string): Mark | undefined {
    const isFresh = ({ atMs }: Mark) => this.#elapsed() - atMs < this.#timing.spendingMs;
    return this.#othersMarks.find((mark) => mark.digest === digest && isFresh(mark));
  }

  /**
   * Tried again until the store takes it, as nobody else may have what is in hand. Another look that succeeds meanwhile
   * does not end that: it may be older than the change that this one was for.
   */
  async #sync(isBack = ""): Promise<void> {
    try {
      await this.#syncOnce(isBack);
    } catch (error) {
      this.#forgetSync();
      this.#forgetSync = this.#after(SYNC_AGAIN_MS, () => void this.#sync().catch(() => {}));
      throw error;
    }
  }

  async #syncOnce(isBack: string): Promise<void> {
    const { fence, sealed, origins } = this.#held;
    const from = this.#renewedFrom === undefined ? "" : String(this.#renewedFrom);
    const when = isBack ? ("bringing" as const) : undefined;
    const [newest, ...rest] = textsOf(await this.#run(SYNC, [String(fence), sealed, origins, isBack, from], when));
    // Meanwhile a renewal may have ended, or another look have found an older login than this one.
    const isSame = this.#held.fence === fence;
    if (isSame && newest === String(fence)) this.#renewedFrom = undefined;
    else if (rest.length > 0 && (isSame || Number(newest) > this.#held.fence)) this.#take(Number(newest), rest);
    if (!isSame) return;
    await this.#resealOld(when);
  }

  #take(fence: number, [sealed = "", origins = ""]: readonly string[]): void {
    this.#renewedFrom = undefined;
    this.#held = { fence, sealed, origins, login: sealed === "" ? undefined : this.#unseal(sealed, fence) };
  }

  async #importFirst(): Promise<void> {
    if (this.#isImported || !this.#first) return;
    const login = await this.#first.load();
    if (login) {
      const { origin } = this.#first;
      const offer = await this.#run(OFFER, [origin, String(this.#timing.settleMs)]);
      const [state, text, before = ""] = textsOf(offer);
      // The login that is there is used until then.
      if (state === "settling") return this.#sync();
      if (state === "free") {
        const fence = Number(text);
        const origins = [origin, ...before.split(" ").slice(0, MOST_ORIGINS - 1)].join(" ").trim();
        this.#held = { fence, login, sealed: this.#seal(login, fence), origins };
        await this.#sync();
      }
    }
    this.#isImported = true;
  }

  async #resealOld(when: "bringing" | undefined): Promise<void> {
    const { fence, sealed, login } = this.#held;
    if (!login || this.#sealer.isNewest(sealed)) return;
    const anew = this.#seal(login, fence);
    await this.#run(RESEAL, [String(fence), sealed, anew], when);
    if (this.#held.fence === fence) this.#held = { ...this.#held, sealed: anew };
  }

  #run(what: Parameters<StoreConnection["run"]>[0], values: readonly string[], when?: "bringing"): Promise<unknown> {
    const keys = ["login", "versions", "changes", "login-lock"].map((name) => this.#store.key(name));
    return this.#store.run(what, keys, values, when);
  }

  /** Bound to its fencing token: an old login that somebody puts back under a new one does not open. */
  #seal(login: Login, fence: number): string {
    return this.#sealer.seal(JSON.stringify(login), `${this.#store.key("login")} ${fence}`);
  }

  #unseal(sealed: string, fence: number): Login {
    const parsed = Sealed.safeParse(parseJson(this.#sealer.open(sealed, `${this.#store.key("login")} ${fence}`)));
    if (!parsed.success) {
      throw new RelayError("store_unavailable", "The login in the store has a form that this version does not know.", {
        hint: "Update this relay, or sign in again with `plansocket login` and the same --store.",
      });
    }
    return parsed.data.kind === "chatgpt" ? { kind: "chatgpt", tokens: tokensOf(parsed.data.tokens) } : parsed.data;
  }
}

const CUT_OFF = "A replica that is cut off may have renewed the login.";
const CHANGED = "Another replica has just changed the login.";

function retryLater(reason: string): RelayError {
  const hint = "The login itself is still good; try again in a moment.";
  return new RelayError("store_unavailable", reason, { hint, retryAfterMs: 2000 });
}

function tokensOf(tokens: Partial<Tokens>): Tokens {
  const { accessToken, refreshToken, idToken, accountId, expiresAtMs, lastRefreshMs, clientId } = tokens;
  return { accessToken, refreshToken, idToken, accountId, expiresAtMs, lastRefreshMs, clientId };
}
