import { defineCommand, renderUsage, runCommand, type CommandDef } from "citty";
import { RelayError } from "../lib/errors.ts";
import { nearest } from "../lib/nearest.ts";
import { COMMIT, NAME, VERSION } from "../version.ts";
import { plainUnlessTerminal, printFailure } from "./output.ts";
import { deferredWorkOver } from "./defer-signals.ts";

/** One sentence for each command; its code is loaded only when it runs. */
const COMMANDS: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<CommandDef> }>> = {
  serve: {
    about: "run the relay in the foreground",
    load: () => import("./commands/serve.ts").then((module) => module.serve),
  },
  demo: {
    about: "run it against a built-in stand-in backend: no login, no network",
    load: () => import("./commands/demo.ts").then((module) => module.demo),
  },
  start: {
    about: "run it in the background",
    load: () => import("./commands/start.ts").then((module) => module.start),
  },
  stop: { about: "stop the background relay", load: () => import("./commands/stop.ts").then((module) => module.stop) },
  restart: {
    about: "start the background relay anew, with the settings of the last start",
    load: () => import("./commands/restart.ts").then((module) => module.restart),
  },
  status: {
    about: "show whether the background relay runs",
    load: () => import("./commands/status.ts").then((module) => module.status),
  },
  logs: {
    about: "show the log of the background relay",
    load: () => import("./commands/logs.ts").then((module) => module.logs),
  },
  service: {
    about: "have the system start it at login: service install, uninstall, status",
    load: () => import("./commands/service.ts").then((module) => module.service),
  },
  login: { about: "sign in with ChatGPT", load: () => import("./commands/login.ts").then((module) => module.login) },
  logout: {
    about: "end the login and remove its file",
    load: () => import("./commands/logout.ts").then((module) => module.logout),
  },
  whoami: {
    about: "show whose login is used",
    load: () => import("./commands/whoami.ts").then((module) => module.whoami),
  },
  usage: {
    about: "show how much of the plan is used, and when it resets",
    load: () => import("./commands/usage.ts").then((module) => module.usage),
  },
  doctor: {
    about: "check login, network, backend and port, and say how to mend them",
    load: () => import("./commands/doctor.ts").then((module) => module.doctor),
  },
  health: {
    about: "say whether a relay answers, by the exit code",
    load: () => import("./commands/health.ts").then((module) => module.health),
  },
  update: {
    about: "replace this executable by the newest release",
    load: () => import("./commands/update.ts").then((module) => module.update),
  },
  config: {
    about: "show the settings, check their file, or print its schema",
    load: () => import("./commands/config.ts").then((module) => module.config),
  },
  models: {
    about: "list the models of the account",
    load: () => import("./commands/models.ts").then((module) => module.models),
  },
  setup: {
    about: "write a client's own configuration, or undo that",
    load: () => import("./commands/setup.ts").then((module) => module.setup),
  },
  run: {
    about: "run a command with a relay of its own: run -- COMMAND …",
    load: () => import("./commands/run.ts").then((module) => module.run),
  },
};

const root = defineCommand({
  meta: { name: NAME, version: VERSION, description: "Use the models of your ChatGPT plan from any LLM client." },
  subCommands: Object.fromEntries(
    Object.entries(COMMANDS).map(([name, { about }]) => [name, { meta: { name, description: about } }]),
  ),
});

/** Runs one command. Returns the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const [name, ...rest] = argv;
    if (name === "--version" || name === "-v" || name === "version") return printVersion();
    if (name === undefined || name === "--help" || name === "-h" || name === "help") {
      // Asked for, it is data; otherwise it is a remark on a call that said nothing.
      (name === undefined ? process.stderr : process.stdout).write(plainUnlessTerminal(await renderUsage(root)));
      return name === undefined ? 2 : 0;
    }
    const { load } = find(name);
    // What follows `--` belongs to the command that is run.
    const own = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
    if (own.includes("--version")) return printVersion();
    const command = await load();
    if (own.includes("--help") || own.includes("-h")) {
      const { usageOf } = await import("./flags.ts");
      process.stdout.write(await usageOf(command));
      return 0;
    }
    const { result } = await runCommand(command, { rawArgs: rest });
    return typeof result === "number" ? result : 0;
  } catch (error) {
    return printFailure(error);
  } finally {
    await deferredWorkOver();
  }
}

function printVersion(): number {
  process.stdout.write(`${NAME} ${VERSION}${COMMIT === "" ? "" : ` (${COMMIT})`}\n`);
  return 0;
}

function find(name: string) {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command) return command;
  const names = Object.keys(COMMANDS);
  throw new RelayError("usage", `Unknown command '${name.slice(0, 40)}'.`, {
    hint: `Did you mean '${nearest(name, names)}'? Commands: ${names.join(", ")}.`,
  });
}
