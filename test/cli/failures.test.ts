import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fill } from "../hostile/small-disk.ts";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { canMount, mountTmpfs, remount, unmount } from "../support/mounts.ts";
import { jwt } from "../support/token-server.ts";
import { allTo, everyCommand, UNFIT, Walker, type Walked, type World } from "../support/walk.ts";

/** With every command of the table, forms of them that go other ways. */
const COMMANDS: readonly (readonly string[])[] = [
  ...everyCommand(),
  ["usage", "--json"],
  ["usage", "--by", "model"],
  ["doctor", "--live"],
  ["status", "--verbose"],
  ["models", "--json"],
  ["usage", "--watch", "--every", "5"],
  ["login", "--no-browser", "--force"],
  ["login", "--device", "--force"],
  ["setup"],
  ["setup", "codex", "--yes"],
  ["setup", "claude-code", "--undo"],
  ["logout", "--yes"],
  ["update", "--check", "--json"],
  ["doctor", "--json"],
];

/** Those that end only when they are told to, and what they have said by then. */
const LASTING: Readonly<Record<string, RegExp>> = {
  serve: /Next: /,
  demo: /fault:/,
  "logs -f": /a line of the log/,
  "usage --watch --every 5": /./,
  "login --no-browser --force": /press Enter/,
  "login --device --force": /Waiting for the code/,
};

const NOW_S = Math.floor(Date.now() / 1000);

/** A login file whose access token ends `inS` from now. */
function loginUntil(inS: number, accountId = "acc-1"): object {
  const claims = { chatgpt_account_id: accountId, chatgpt_plan_type: "plus\u001b[31m\u202e" };
  const token = jwt({ exp: NOW_S + inS, "https://api.openai.com/auth": claims });
  const tokens = { id_token: token, access_token: token, refresh_token: "rt_first", account_id: accountId };
  return { auth_mode: "chatgpt", tokens, last_refresh: new Date().toISOString() };
}

function writeLogin(home: string, login: object): void {
  writeFileSync(join(home, ".codex/auth.json"), JSON.stringify(login), { mode: 0o600 });
}

let standIn: StandIn;
let walker: Walker;
/** What each command does when all is well. */
const usual = new Map<string, Walked>();

beforeAll(async () => {
  standIn = startStandIn();
  const login = standIn.issueLogin().authJson;
  walker = new Walker({ login, lasting: LASTING });
  await walker.build();
  for (const walked of await walker.walk(healthy(), COMMANDS)) usual.set(walked.words.join(" "), walked);
}, 60_000);
afterAll(async () => {
  await standIn.stop();
  walker.remove();
});

/** Everything answers as it should. */
function healthy(): World {
  return {
    env: {
      ...allTo(standIn.origin),
      PLANSOCKET_BASE_URL: standIn.baseUrl,
      PLANSOCKET_ISSUER: standIn.issuer,
      CODEX_REFRESH_TOKEN_URL_OVERRIDE: standIn.tokenUrl,
      CODEX_REVOKE_TOKEN_URL_OVERRIDE: standIn.revokeUrl,
      PLANSOCKET_OPENAI_BASE_URL: standIn.openaiBaseUrl,
    },
  };
}

interface Failing {
  readonly name: string;
  open(): World | Promise<World>;
  /** What a command that fails by it names. */
  readonly says: RegExp;
  /** Commands that cannot miss it, by their words. */
  readonly meets: readonly string[];
}

/** One line for each thing about a command's end that its reader should not have to see. */
function complaints({ words, code, out, err }: Walked, { says, meets }: Failing): string[] {
  const name = words.join(" ");
  const text = `${out}\n${err}`;
  const found: string[] = [];
  const complain = (what: string) => found.push(`${name}: ${what}\n${text.trim().replaceAll(/^/gm, "    ")}`);
  const rude = UNFIT.exec(text);
  if (rude) complain(`says ${JSON.stringify(rude[0])}`);
  const usually = usual.get(name)?.code;
  if (![0, 1, 2].includes(code) && code !== usually) complain(`ends with ${code}`);
  const isMet = meets.includes(name) || code !== usually;
  if (meets.includes(name) && usually === 0 && code === 0 && err === "") complain("keeps it to itself");
  if (isMet && !says.test(text)) complain(`does not say ${String(says)} (code ${code}, usually ${usually})`);
  for (const [, next = ""] of err.matchAll(/^plansocket: .+\n(.*)/gm)) {
    if (!/^ {2}\S.*[.!?)\]`]$/.test(next)) complain(`names no next step: ${JSON.stringify(next)}`);
  }
  for (const [, next = ""] of out.matchAll(/^✗ .+\n(.*)/gm)) {
    if (!/^ {10,}\S.*[.!?)\]`]$/.test(next)) complain(`names no fix: ${JSON.stringify(next)}`);
  }
  if (name.includes("--json") && !name.startsWith("logs") && out !== "") {
    try {
      JSON.parse(out);
    } catch {
      complain("prints no JSON");
    }
  }
  return found;
}

function walkAll(failings: readonly Failing[]): void {
  test.each(failings.map((failing) => [failing.name, failing] as const))(
    "%s",
    async (_, failing) => {
      const walked = await walker.walk(await failing.open(), COMMANDS);
      expect(walked.flatMap((each) => complaints(each, failing)).join("\n")).toBe("");
    },
    60_000,
  );
}

test("every command works where nothing is wrong", () => {
  const nothing: Failing = { name: "", open: healthy, says: /./, meets: [] };
  expect([...usual.values()].flatMap((each) => complaints(each, nothing)).join("\n")).toBe("");
  expect(Object.fromEntries([...usual].map(([name, { code }]) => [name, code]))).toMatchObject({
    serve: 0,
    demo: 0,
    start: 0,
    "run -- claude": 0,
    "ask Why is the sky blue?": 0,
    "setup codex --yes": 0,
    "usage --watch --every 5": 0,
    models: 0,
    whoami: 0,
    doctor: 0,
    "doctor --live": 0,
    "logs -f": 0,
    logout: 2,
    "logout --yes": 0,
  });
});

const HTML = { "content-type": "text/html" };
const SQUID = { ...HTML, server: "squid/6.6", "x-squid-error": "ERR_ACCESS_DENIED 0" };
const EVIL = {
  models: [
    { slug: "gpt-\u001b[31mx\u202e", visibility: "list", supported_reasoning_levels: [{ effort: "\u009b31mlow" }] },
  ],
  plan_type: "plus\u001b[2J",
  email: "a\u202eb@example.com",
  rate_limit: {
    allowed: true,
    limit_reached: false,
    primary_window: { used_percent: 12, limit_window_seconds: 18_000, reset_after_seconds: 60 },
  },
};

const QUICK_PAUSES = join(import.meta.dir, "../support/quick-pauses.ts");
const QUICK_LIMITS = join(import.meta.dir, "../support/quick-limits.ts");

/** A backend, login service and place of releases that answers each request in one way. */
function answering(answer: () => Response, world: World = {}): World {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  return {
    ...world,
    preload: QUICK_PAUSES,
    env: { ...allTo(`http://127.0.0.1:${server.port}`), ...world.env },
    close: () => server.stop(true),
  };
}

/** Accepts every connection and never says a word. */
async function silent(world: World = {}): Promise<World> {
  const server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as { port: number };
  return {
    ...world,
    preload: QUICK_LIMITS,
    env: { PLANSOCKET_FIRST_BYTE_TIMEOUT: "10", ...allTo(`http://127.0.0.1:${port}`), ...world.env },
    close: () => void server.close(),
  };
}

const ENDED_LOGIN = (home: string) => writeLogin(home, loginUntil(-60));
const ASKS_BACKEND = ["usage", "usage --json", "ask Why is the sky blue?", "doctor", "doctor --json", "models"];
const ASKS_LOGIN = [...ASKS_BACKEND, "run -- claude"];

describe("every command says in words what is wrong with the network, against", () => {
  const page = () => new Response("<html>Welcome to the hotel</html>", { headers: HTML });
  const squid = (status: number) => () => new Response("<html>Squid</html>", { status, headers: SQUID });
  walkAll([
    {
      name: "a captive portal's page",
      open: () => answering(page),
      says: /web page|page to sign in|no JSON|no models|not JSON|sign-in/i,
      meets: ASKS_BACKEND,
    },
    {
      name: "a captive portal's page, with a login that must be renewed",
      open: () => answering(page, { furnish: ENDED_LOGIN }),
      says: /web page|page/i,
      meets: ASKS_LOGIN,
    },
    {
      name: "a captive portal's redirect",
      open: () => answering(() => new Response(null, { status: 302, headers: { location: "http://wifi.example/" } })),
      says: /web page|page|redirect|302/i,
      meets: ASKS_BACKEND,
    },
    { name: "squid's refusal", open: () => answering(squid(403)), says: /squid|proxy/i, meets: ASKS_BACKEND },
    { name: "squid's trouble", open: () => answering(squid(503)), says: /squid|proxy/i, meets: ASKS_BACKEND },
    {
      name: "squid's refusal, with a login that must be renewed",
      open: () => answering(squid(403), { furnish: ENDED_LOGIN }),
      says: /squid|proxy/i,
      meets: ASKS_LOGIN,
    },
    {
      name: "an empty reply",
      open: () => answering(() => new Response(null, { status: 502 })),
      says: /502|could not be asked|unavailable|web page/i,
      meets: ASKS_BACKEND,
    },
    {
      name: "a list instead of an object",
      open: () => answering(() => Response.json([1, 2])),
      says: /JSON|without|could not be asked|no models/i,
      meets: ["usage", "models", "doctor"],
    },
    {
      name: "JSON that is cut off",
      open: () => answering(() => new Response("{", { headers: { "content-type": "application/json" } })),
      says: /JSON|without|could not be asked/i,
      meets: ["usage", "models", "doctor"],
    },
    {
      name: "escape sequences and bidi marks",
      open: () => answering(() => Response.json(EVIL), { furnish: (home) => writeLogin(home, loginUntil(3600)) }),
      says: /./,
      meets: [],
    },
    {
      name: "nobody who listens",
      open: () => ({ env: allTo("http://127.0.0.1:1") }),
      says: /could not be reached|could not be asked|ConnectionRefused|ECONNREFUSED/,
      meets: ASKS_BACKEND,
    },
    {
      name: "a backend that accepts and never answers",
      open: () => silent(),
      says: /did not answer|no answer|could not be asked|not answer|did not arrive/i,
      meets: ASKS_BACKEND,
    },
    {
      name: "a login service that never answers, with a login that must be renewed",
      open: () => silent({ furnish: ENDED_LOGIN }),
      says: /did not answer|no answer|not answer/i,
      meets: ASKS_LOGIN,
    },
  ]);
});

/** Root may do everything; without its capabilities it is a user like any other (capabilities(7)). */
const AS_USER = process.getuid?.() === 0 ? [Bun.which("setpriv") ?? "setpriv", "--bounding-set=-all"] : [];
const isUser = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-user-"));
  chmodSync(folder, 0o500);
  const made = Bun.spawnSync([...AS_USER, "/bin/sh", "-c", `: >${folder}/x || exit 1`], { stderr: "ignore" });
  rmSync(folder, { recursive: true, force: true });
  return made.exitCode === 1 || made.exitCode === 2;
})();

const STATE = ".local/state/plansocket";
const WRITES = ["start", "restart", "setup claude-code --yes", "keys add ci --models gpt-5.5 --tokens-per-day 2000000"];

describe.skipIf(!isUser)("every command says in words what it may not do: (needs a user, or root with setpriv)", () => {
  walkAll([
    {
      name: "write its state folder",
      open: () => ({ ...healthy(), wrapper: AS_USER, furnish: (home) => chmodSync(join(home, STATE), 0o500) }),
      says: /may not \(EACCES\)|EACCES/,
      meets: WRITES,
    },
    {
      name: "write anything in its home",
      open: () => ({
        ...healthy(),
        wrapper: AS_USER,
        furnish: (home) => {
          for (const folder of [STATE, ".local/state", ".local", ".codex", ""]) chmodSync(join(home, folder), 0o500);
        },
      }),
      says: /EACCES/,
      meets: [...WRITES, "logout --yes", "service install"],
    },
    {
      name: "read its login",
      open: () => ({ ...healthy(), wrapper: AS_USER, furnish: (home) => chmodSync(join(home, ".codex/auth.json"), 0) }),
      says: /EACCES|may not be read by this user/,
      meets: ["usage", "models", "whoami", "doctor", "ask Why is the sky blue?", "run -- claude"],
    },
    {
      name: "read its config file",
      open: () => ({
        ...healthy(),
        wrapper: AS_USER,
        furnish: (home) => {
          mkdirSync(join(home, ".config/plansocket"), { recursive: true });
          writeFileSync(join(home, ".config/plansocket/config.json"), "{}", { mode: 0 });
        },
      }),
      says: /EACCES/,
      meets: ["serve", "usage", "config check"],
    },
    {
      name: "listen on a port below 1024",
      open: () => ({ env: { ...healthy().env, PLANSOCKET_PORT: "1" }, wrapper: AS_USER }),
      says: /may not listen on port 1\.|Ports below 1024/,
      meets: ["serve", "demo", "start", "doctor"],
    },
  ]);
});

describe.skipIf(!canMount())("every command says in words what is wrong with the disk: (needs mounts)", () => {
  /** Homes on a file system of their own, which `spoil` spoils once they are there. */
  const onDisk = (spoil: (disk: string) => void): World => {
    const disk = mkdtempSync(join(tmpdir(), "plansocket-disk-"));
    if (!mountTmpfs(disk, "4m")) throw new Error("The file system could not be mounted.");
    const close = () => {
      unmount(disk);
      rmSync(disk, { recursive: true, force: true });
    };
    return { ...healthy(), homes: disk, begin: () => spoil(disk), close };
  };
  walkAll([
    {
      name: "it is full",
      open: () => onDisk((disk) => void fill(disk, 0)),
      says: /the disk is full|ENOSPC/,
      meets: [...WRITES, "login --device --force"],
    },
    {
      name: "it is read-only",
      open: () => onDisk((disk) => void remount(disk, "ro")),
      says: /read-only|EROFS/,
      meets: [...WRITES, "logout --yes", "login --device --force", "service install"],
    },
  ]);
});

const strace = Bun.which("strace");
const canTrace = strace !== null && Bun.spawnSync([strace, "-qq", "-o", "/dev/null", "true"]).exitCode === 0;
const MODES = "chmod,fchmod,fchmodat";

describe.skipIf(!canTrace)("every command stands file systems that refuse (needs strace)", () => {
  walkAll(
    ["EPERM", "EOPNOTSUPP"].map((code) => ({
      name: `fchmod with ${code}`,
      open: (): World => ({
        ...healthy(),
        wrapper:
          `${strace} -D -f --seccomp-bpf -qq -o /dev/null -e trace=${MODES} -e inject=${MODES}:error=${code}`.split(
            " ",
          ),
      }),
      says: /its file system refuses/,
      meets: [],
    })),
  );
});

/** Every kind of date that TOML has (v1.0.0, "Offset Date-Time" and after). */
const DATED = `updated = 2026-11-03T10:00:00Z
local = 2026-11-03T10:00:00.5
day = 2026-11-03
hour = 10:00:00
`;

describe("every command works all the same with", () => {
  walkAll([
    {
      name: "dates in the Codex CLI's config.toml",
      open: () => ({ ...healthy(), furnish: (home) => writeFileSync(join(home, ".codex/config.toml"), DATED) }),
      says: /^$/,
      meets: [],
    },
    {
      name: "a config.toml that is broken",
      open: () => ({ ...healthy(), furnish: (home) => writeFileSync(join(home, ".codex/config.toml"), "= [") }),
      says: /config\.toml/,
      meets: [],
    },
  ]);
});

describe("every command says in words that its port is taken", () => {
  /** A program that is no relay, on the port of all commands. */
  const taken = async (open: () => { port: number; close: () => unknown }): Promise<World> => {
    const { port, close } = open();
    return {
      env: { ...healthy().env, PLANSOCKET_PORT: String(port) },
      preload: QUICK_LIMITS,
      close: () => void close(),
    };
  };
  const says = new RegExp(`in use by \\S+ \\(pid ${process.pid}\\)|No relay answers|no plansocket|did not answer`);
  const meets = ["serve", "demo", "start", "restart", "doctor"];
  walkAll([
    {
      name: "by a web server",
      open: () =>
        taken(() => {
          const server = Bun.serve({
            hostname: "127.0.0.1",
            port: 0,
            fetch: () => new Response("<html>hi</html>", { headers: HTML }),
          });
          return { port: server.port ?? 0, close: () => server.stop(true) };
        }),
      says,
      meets,
    },
    {
      name: "by something that never answers",
      open: () =>
        taken(() => {
          const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
          return { port: server.port, close: () => server.stop(true) };
        }),
      says,
      meets,
    },
  ]);
});

const bash = Bun.which("bash");
/** Runs what follows it with streams whose reader is gone for certain: `wait` returns once `:` has ended. */
const withoutReader = (...streams: readonly number[]) => [
  bash ?? "",
  "-c",
  `${streams.map((stream) => `exec ${stream}> >(:); wait $!; `).join("")}exec "$@"`,
  "bash",
];
/** What they say before they last cannot be read where nobody reads stderr. */
const SAYS_ON_STDERR = ["login --no-browser --force", "login --device --force"];

describe.skipIf(bash === null)(
  "every command ends quietly with a reader that has seen enough (LionSR/TeXRA#4372)",
  () => {
    const cases = [
      ["stdout", [1]],
      ["stderr", [2]],
      ["both", [1, 2]],
    ] as const;
    test.each(cases)(
      "of %s",
      async (_, streams) => {
        const isBlind = streams.some((stream) => stream === 2);
        const commands = COMMANDS.filter((words) => !isBlind || !SAYS_ON_STDERR.includes(words.join(" ")));
        const walked = await walker.walk({ ...healthy(), wrapper: withoutReader(...streams), isBlind }, commands);
        const nothing: Failing = { name: "", open: healthy, says: /./, meets: [] };
        // Where stdout ends early, so does the command, and that is success.
        const ends = walked.map((each) =>
          each.code === 0 ? { ...each, code: usual.get(each.words.join(" "))?.code ?? 0 } : each,
        );
        expect(ends.flatMap((each) => complaints(each, nothing)).join("\n")).toBe("");
      },
      60_000,
    );
  },
);

describe.skipIf(bash === null || !existsSync("/dev/full"))("every command whose output", () => {
  const prints = [
    "usage",
    "usage --json",
    "models",
    "whoami",
    "config print",
    "man",
    "completions bash",
    "setup",
    "doctor",
    "logs -f",
  ];
  walkAll([
    {
      name: "finds a full disk says so and fails",
      open: () => ({ ...healthy(), wrapper: [bash ?? "", "-c", 'exec "$@" >/dev/full', "bash"] }),
      says: /The output could not be written: the disk is full \(ENOSPC\)/,
      meets: prints,
    },
  ]);
});
