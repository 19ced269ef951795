import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCredentials } from "../../src/auth/index.ts";
import { readClaims } from "../../src/auth/jwt.ts";
import type { CredentialKeeper } from "../../src/auth/keeper.ts";
import type { Log } from "../../src/lib/log.ts";
import { LoginService, refreshTokenIn } from "./login-service.ts";
import { randomOf } from "./mutate.ts";
import { Account } from "./report.ts";
import { SimulatedTime } from "./simulated-time.ts";

/** `RACE_HOURS=50 FAULT_SEED=3 bun test hostile/race` races for longer. */
const hours = Number(process.env["RACE_HOURS"] ?? 2);
const seed = Number(process.env["FAULT_SEED"] ?? 1);

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const STRETCH_MS = 5 * MINUTE;
/** Short enough for a renewal every minute or two. */
const TOKEN_LIFE_MS = 7 * MINUTE;

let account: Account;
let home: string;
let file: string;
let time: SimulatedTime;
let service: LoginService;
let random: () => number;
/** True while the network has its faults. */
let isStormy = true;

beforeAll(() => {
  account = new Account("races for the login", seed);
});
afterAll(() => account.close());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-race-"));
  file = join(home, "auth.json");
  random = randomOf(seed);
  time = new SimulatedTime(random);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const between = (least: number, most: number) => least + random() * (most - least);
const chance = (share: number) => random() < share;

/** How the way to the login service is. */
interface Network {
  /** Answers that never arrive although the token was spent. */
  readonly lostAnswers: number;
}

async function spend(token: string, { lostAnswers }: Network): Promise<Response> {
  await time.sleep(between(0, 3 * SECOND));
  if (!isStormy) return service.answer(token);
  if (chance(0.05)) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  if (chance(0.05)) return new Response("busy", { status: 503 });
  const answer = service.answer(token);
  await time.sleep(between(0, 2 * SECOND));
  if (chance(lostAnswers)) throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
  return answer;
}

/** A relay: its credentials, a clock of its own, and clients that ask at any time. */
class RacingRelay {
  #keeper: CredentialKeeper;
  #skewMs = 0;
  readonly #network: Network;
  readonly said: string[] = [];

  constructor(network: Network) {
    this.#network = network;
    this.#keeper = this.#open();
  }

  async race(untilMs: number): Promise<void> {
    while (time.now() < untilMs) {
      await time.sleep(between(0, 15 * SECOND));
      if (chance(0.03)) this.#skewMs = between(-1, 1) * 24 * 60 * MINUTE;
      if (chance(0.1)) this.#skewMs = 0;
      if (chance(0.02)) await this.#restart();
      // Failures are for the clients of the moment; what counts is that the login lives.
      await this.#ask().catch(() => {});
    }
  }

  async #ask(): Promise<void> {
    const credentials = await this.#keeper.current();
    if (chance(0.05)) await this.#keeper.recover(credentials, chance(0.5) ? 1 : 2);
  }

  /** An end in good order. */
  async #restart(): Promise<void> {
    await this.#keeper.settle();
    this.#keeper = this.#open();
  }

  /** The token in use, by a clock that is right. */
  async token(): Promise<string> {
    this.#skewMs = 0;
    return (await this.#keeper.current()).accessToken;
  }

  #open(): CredentialKeeper {
    const say = (message: string, fields?: object) => void this.said.push(message + JSON.stringify(fields ?? {}));
    const log: Log = { debug() {}, info: say, warn: say, error: say };
    return openCredentials({
      env: {},
      authFile: file,
      stateDir: join(home, "state"),
      tokenUrl: "http://login.relay.test/oauth/token",
      clientId: "app",
      fetch: (_url, init) => {
        const { refresh_token: token } = JSON.parse(init?.body as string) as { refresh_token: string };
        return spend(token, this.#network);
      },
      log,
      now: () => time.now() + this.#skewMs,
      sleep: time.sleep,
    });
  }
}

/** Plays the Codex CLI: takes no lock, looks at the file before it renews, writes over it where it lies, in pieces. */
async function playCli(network: Network, untilMs: number): Promise<void> {
  while (time.now() < untilMs) {
    await time.sleep(between(10 * SECOND, 90 * SECOND));
    if (chance(0.06)) await writeLikeTheCli(service.login());
    else await renewLikeTheCli(network);
  }
}

async function renewLikeTheCli(network: Network): Promise<void> {
  const before = textOf(file);
  const tokens = (before === undefined ? undefined : parsed(before))?.tokens;
  if (!tokens) return;
  const endsAtMs = readClaims(tokens.access_token).expiresAtMs ?? 0;
  if (endsAtMs > time.now() + 5 * MINUTE && !chance(0.2)) return;
  const reply = await spend(tokens.refresh_token, network).catch(() => undefined);
  if (!reply?.ok) return;
  const fresh = (await reply.json()) as { access_token: string; refresh_token: string };
  await writeLikeTheCli(JSON.stringify({ ...parsed(before ?? ""), tokens: { ...tokens, ...fresh } }, undefined, 2));
}

async function writeLikeTheCli(text: string): Promise<void> {
  const descriptor = openSync(file, "w", 0o600);
  try {
    const middle = Math.floor(text.length * random());
    await time.sleep(between(0, 60));
    writeSync(descriptor, text.slice(0, middle));
    await time.sleep(between(0, 60));
    writeSync(descriptor, text.slice(middle));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

interface AuthJson {
  readonly tokens?: { readonly access_token: string; readonly refresh_token: string };
}

function parsed(text: string): AuthJson | undefined {
  try {
    return JSON.parse(text) as AuthJson;
  } catch {
    return undefined;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Somebody's backup, switcher or editor: the file is elsewhere for a moment, now and then. */
async function moveAbout(untilMs: number): Promise<void> {
  const aside = join(home, "aside.json");
  while (time.now() < untilMs) {
    await time.sleep(between(0, 3 * MINUTE));
    if (!existsSync(file)) continue;
    renameSync(file, aside);
    await time.sleep(between(0, 6 * SECOND));
    // What was written meanwhile is newer.
    if (existsSync(file)) rmSync(aside);
    else renameSync(aside, file);
  }
}

/** Nobody disturbs them any more, and each has time for all that it had left to do: then both have to be served. */
async function comeToRest(relays: readonly RacingRelay[]): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(relays.map((relay) => relay.token().catch(() => {})));
    // Longer than they leave a login alone that could not be renewed or saved.
    await time.sleep(2 * MINUTE);
  }
  await Promise.all(relays.map((relay) => relay.token()));
}

test.each<[string, Network]>([
  ["every token is taken once", { lostAnswers: 0 }],
  ["answers get lost, and a token is taken again until its heir is used", { lostAnswers: 0.1 }],
])(
  `two relays and a Codex CLI for ${hours} h of simulated time: %s (seed ${seed})`,
  async (_rules, network) => {
    service = new LoginService({ lifeMs: TOKEN_LIFE_MS, now: time.now, isForgiving: network.lostAnswers > 0 });
    await time.run([writeLikeTheCli(service.login())]);
    const relays = [new RacingRelay(network), new RacingRelay(network)];
    for (let stretch = 0; stretch < (hours * 60 * MINUTE) / STRETCH_MS; stretch += 1) {
      const untilMs = time.now() + STRETCH_MS;
      isStormy = true;
      await time.run([...relays.map((relay) => relay.race(untilMs)), playCli(network, untilMs), moveAbout(untilMs)]);
      const issued = service.issued;
      isStormy = false;
      await time.run([comeToRest(relays)]);
      const stored = refreshTokenIn(textOf(file) ?? "") ?? "nothing";
      expect({ stretch, issued, stored, isUsable: service.isUsable(stored) }).toMatchObject({ isUsable: true });
      account.tried(service.issued - issued + 1);
    }
    expect(service.issued).toBeGreaterThan(hours * 10);
    expect(relays.flatMap(({ said }) => said).join()).not.toMatch(/rt_\d|eyJ/);
    expect(readdirSync(home).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  },
  600_000,
);
