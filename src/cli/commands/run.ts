import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineCommand } from "citty";
import { TOKEN_VARIABLES } from "../../auth/sources/environment.ts";
import type { Player } from "../../demo/player.ts";
import type { Judgment } from "../../config/load.ts";
import { SETTING_NAMES, type SettingName } from "../../config/settings.ts";
import type { Environment } from "../../lib/environment.ts";
import { RelayError } from "../../lib/errors.ts";
import { BACKEND_SETTINGS, citty, parseFlags, type OwnFlag, type ParsedFlags } from "../flags.ts";
import { say } from "../output.ts";
import { EXIT_NOT_FOUND, findCommand, runChild } from "../run/child.ts";
import { adaptationOf, type Session } from "../run/known.ts";
import { clientVariables } from "../setup/clients/env.ts";
import { addressOf, modelsOf } from "../setup/target.ts";
import { listen, openServices, type Services, PLAIN } from "../services.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  demo: { help: "use the built-in backend: no login, no network" },
  model: { value: "MODEL", help: "model that known clients use (default: the first of the account)" },
};

export const run = defineCommand({
  meta: {
    name: "run",
    description: "Run a command with a relay of its own, on a free port and with a key for this run: run -- COMMAND …",
  },
  args: citty(OWN, ["port", "models", "instructions", "reasoning", "strict", ...BACKEND_SETTINGS], {
    port: "a free one",
    logLevel: "silent",
  }),
  async run({ rawArgs }) {
    const { flags, command, args } = split(rawArgs);
    // Taken before the relay takes proxy variables over: the command keeps those of its caller.
    const env = { ...process.env };
    const path = findCommand(command, env);
    if (typeof path === "number") {
      say(`plansocket: ${command}: ${path === EXIT_NOT_FOUND ? "command not found" : "not executable"}`);
      say(path === EXIT_NOT_FOUND ? "  Is it installed, and on the PATH?" : `  Try \`chmod +x ${command}\`.`);
      return path;
    }
    const backend = flags.own["demo"] ? await demoBackend() : undefined;
    try {
      return await withRelay(flags, backend, (session) => {
        const adapted = adaptationOf(command)?.(args, session, env) ?? { args, env: {} };
        return runChild(path, adapted.args, { ...environmentOf(env, session), ...adapted.env });
      });
    } finally {
      await backend?.stop();
    }
  },
});

function split(argv: readonly string[]): { flags: ParsedFlags; command: string; args: readonly string[] } {
  const at = argv.indexOf("--");
  const [command, ...args] = at < 0 ? [] : argv.slice(at + 1);
  if (command === undefined) {
    const given = at < 0 && argv.length > 0 ? argv.join(" ").slice(0, 80) : "COMMAND …";
    throw new RelayError("usage", "Which command?", { hint: `Write \`plansocket run -- ${given}\`.` });
  }
  return { flags: parseFlags(argv.slice(0, at), OWN), command, args };
}

async function demoBackend(): Promise<Player> {
  const { startPlayer } = await import("../../demo/player.ts");
  return startPlayer();
}

async function withRelay(
  flags: ParsedFlags,
  backend: Player | undefined,
  act: (session: Session) => Promise<number>,
): Promise<number> {
  const services = await servicesForRun(flags, backend);
  // Fails on an invalid login before the command takes over the terminal.
  await services.credentials.current();
  const models = modelsOf(await services.upstream.catalogue.current(), wished(flags));
  const relay = listen(services, { apiKeyName: "run" });
  let folder: string | undefined;
  try {
    return await act({
      ...addressOf(relay.url, services.settings.apiKey),
      ...models,
      folder: () => (folder ??= mkdtempSync(join(tmpdir(), "plansocket-run-"))),
    });
  } finally {
    await relay.stop();
    await services.credentials.settle();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** A relay of one's own answers at its own place, with its own key. */
const REPLACED: readonly SettingName[] = [
  "host",
  "port",
  "addr",
  "unix",
  "tlsCert",
  "tlsKey",
  "basePath",
  "apiKey",
  "logLevel",
];
const JUDGMENT: Judgment = { needs: SETTING_NAMES.filter((name) => !REPLACED.includes(name)) };

/** Loopback, a free port and a key that only this run knows, whatever the settings say of a relay that stays. */
function servicesForRun({ settings }: ParsedFlags, backend: Player | undefined): Promise<Services> {
  const own = {
    ...PLAIN,
    apiKey: randomBytes(24).toString("base64url"),
    // The command has the terminal for itself, unless somebody asks to see more.
    ...(settings.port === undefined ? { port: 0 } : {}),
    ...(settings.logLevel === undefined ? { logLevel: "silent" as const } : {}),
  };
  if (!backend) return openServices(settings, process.env, { settings: own, judgment: JUDGMENT });
  const { settings: toPlayer, tokens } = backend.services;
  return openServices(settings, process.env, { settings: { ...own, ...toPlayer }, tokens, judgment: JUDGMENT });
}

function wished({ own }: ParsedFlags): string | undefined {
  return typeof own["model"] === "string" ? own["model"] : undefined;
}

/** Tokens of the relay's own login: a command that spent the single-use one would end it for the relay. */
const RELAY_ONLY = TOKEN_VARIABLES.flatMap((name) => [name, `${name}_FILE`]);

function environmentOf(env: Environment, session: Session): Environment {
  const general: Record<string, string | undefined> = {
    ...env,
    ...clientVariables(session),
    // One of the two that Anthropic's clients read: with both they send both, and Claude Code warns of a conflict.
    ANTHROPIC_API_KEY: session.key,
    ANTHROPIC_AUTH_TOKEN: undefined,
  };
  for (const name of RELAY_ONLY) delete general[name];
  // A proxy of the caller must not get what is meant for this machine.
  for (const name of ["NO_PROXY", "no_proxy"]) {
    general[name] = [env[name], "127.0.0.1", "localhost"].filter(Boolean).join(",");
  }
  return general;
}
