import type { CommandDef } from "citty";

/** Headings of the root help, in the order in which people need them. */
export const GROUPS = {
  start: "Start a relay",
  connect: "Connect programs",
  look: "Look",
  account: "Account",
  program: "This program",
} as const;

/** One command: its place in the help, and its code, which is loaded only when it runs. */
export interface CommandEntry {
  readonly group: keyof typeof GROUPS;
  /** Completes "plansocket NAME: …" in the list of commands. */
  readonly about: string;
  /** What may follow the name besides flags. */
  readonly operands?: string;
  /** Words that may stand as the first operand, for completions. */
  readonly words?: readonly string[];
  readonly examples: readonly (readonly [command: string, effect: string])[];
  readonly load: () => Promise<CommandDef>;
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    group: "start",
    about: "run the relay in the foreground",
    examples: [
      ["serve", "listen on 127.0.0.1:8787 with the Codex CLI's login"],
      ["serve --port 9000 --log-level debug", "another port, and a log with requests and answers"],
    ],
    load: () => import("./commands/serve.ts").then((module) => module.serve),
  },
  demo: {
    group: "start",
    about: "run it against a built-in backend: no login, no network",
    examples: [
      ["demo", "try clients without spending the plan"],
      ["demo --port 0", "on any free port"],
    ],
    load: () => import("./commands/demo.ts").then((module) => module.demo),
  },
  start: {
    group: "start",
    about: "run it in the background",
    examples: [
      ["start", "start it, and return once it answers"],
      ["start --port 9000", "on another port; `restart` remembers it"],
    ],
    load: () => import("./commands/start.ts").then((module) => module.start),
  },
  stop: {
    group: "start",
    about: "stop the background relay",
    examples: [
      ["stop", "let running requests finish first"],
      ["stop --timeout 0", "cut them"],
    ],
    load: () => import("./commands/stop.ts").then((module) => module.stop),
  },
  restart: {
    group: "start",
    about: "restart the background relay with the settings of the last start",
    examples: [
      ["restart", "after an update or a change of the config file"],
      ["restart --port 9001", "the same settings but for the port"],
    ],
    load: () => import("./commands/restart.ts").then((module) => module.restart),
  },
  service: {
    group: "start",
    about: "have the system start it at login",
    operands: "install|uninstall|status",
    words: ["install", "uninstall", "status"],
    examples: [
      ["service install", "start it now and at every login"],
      ["service uninstall", "undo that"],
    ],
    load: () => import("./commands/service.ts").then((module) => module.service),
  },
  setup: {
    group: "connect",
    about: "write a client's configuration, or undo that",
    operands: "CLIENT",
    examples: [
      ["setup claude-code", "show the change, then ask before writing it"],
      ["setup claude-code --undo", "put the client's files back"],
    ],
    load: () => import("./commands/setup.ts").then((module) => module.setup),
  },
  run: {
    group: "connect",
    about: "run a command with a relay of its own",
    operands: "-- COMMAND …",
    examples: [
      ["run -- claude", "Claude Code on the plan's models, nothing configured"],
      ["run -- python app.py", "OPENAI_BASE_URL and OPENAI_API_KEY are set for it"],
    ],
    load: () => import("./commands/run.ts").then((module) => module.run),
  },
  keys: {
    group: "connect",
    about: "give each client a key of its own, with limits",
    operands: "add NAME|list|revoke NAME",
    words: ["add", "list", "revoke"],
    examples: [
      ["keys add ci --models gpt-5.5 --tokens-per-day 2000000", "make a key with limits and print it, this once"],
      ["keys revoke ci", "end it, in relays that run too"],
    ],
    load: () => import("./commands/keys.ts").then((module) => module.keys),
  },
  ask: {
    group: "connect",
    about: "ask one question and print the answer",
    operands: "QUESTION",
    examples: [
      ['ask "Why is the sky blue?"', "the shortest proof that everything works"],
      ['git diff | plansocket ask "Review this." --effort high', "piped text is added to the question"],
    ],
    load: () => import("./commands/ask.ts").then((module) => module.ask),
  },
  open: {
    group: "look",
    about: "show the status page in the browser",
    examples: [
      ["open", "the relay on 127.0.0.1:8787, signed in where it asks for a key"],
      ["open --print", "only print the address, for a browser elsewhere"],
    ],
    load: () => import("./commands/open.ts").then((module) => module.open),
  },
  status: {
    group: "look",
    about: "show whether a relay runs, whose login it uses and how full the plan is",
    examples: [
      ["status", "exit code 0 when the background relay runs, else 1"],
      ["status --verbose", "also every setting and where it came from"],
    ],
    load: () => import("./commands/status.ts").then((module) => module.status),
  },
  logs: {
    group: "look",
    about: "show the log of the background relay",
    examples: [
      ["logs -f", "follow it"],
      ["logs -n 20 --json", "the last 20 lines as they were written"],
    ],
    load: () => import("./commands/logs.ts").then((module) => module.logs),
  },
  models: {
    group: "look",
    about: "list the models of the account",
    examples: [
      ["models", "with context, efforts and tiers"],
      ["models --json", "for scripts"],
    ],
    load: () => import("./commands/models.ts").then((module) => module.models),
  },
  usage: {
    group: "look",
    about: "show how much of the plan is used, and when it resets",
    examples: [
      ["usage", "a bar for each window of the plan"],
      ["usage --by model --since 7d", "what each model used in the last seven days"],
    ],
    load: () => import("./commands/usage.ts").then((module) => module.usage),
  },
  doctor: {
    group: "look",
    about: "check login, network, backend and port, and say how to fix them",
    examples: [
      ["doctor", "costs nothing"],
      ["doctor --live", "also one tiny request to every endpoint"],
    ],
    load: () => import("./commands/doctor.ts").then((module) => module.doctor),
  },
  health: {
    group: "look",
    about: "tell scripts by the exit code whether a relay answers",
    examples: [
      ["health", "0 when it answers, else 1"],
      ["health --ready", "0 only when its login works as well"],
    ],
    load: () => import("./commands/health.ts").then((module) => module.health),
  },
  config: {
    group: "look",
    about: "show the settings, check their file, or print its schema",
    operands: "print|path|check|schema|reference",
    words: ["print", "path", "check", "schema", "reference"],
    examples: [
      ["config print", "every setting, its value and where it came from"],
      ["config check", "all faults of the config file at once"],
    ],
    load: () => import("./commands/config.ts").then((module) => module.config),
  },
  login: {
    group: "account",
    about: "sign in with ChatGPT",
    examples: [
      ["login", "in the browser of this machine"],
      ["login --device", "with a code, on a machine without a browser"],
    ],
    load: () => import("./commands/login.ts").then((module) => module.login),
  },
  logout: {
    group: "account",
    about: "end the login and remove its file",
    examples: [
      ["logout", "asks first"],
      ["logout --yes", "for scripts"],
    ],
    load: () => import("./commands/logout.ts").then((module) => module.logout),
  },
  whoami: {
    group: "account",
    about: "show whose login is used, and how long it is good for",
    examples: [
      ["whoami", "account, plan, source and age of the token"],
      ["whoami --json", "for scripts"],
    ],
    load: () => import("./commands/whoami.ts").then((module) => module.whoami),
  },
  update: {
    group: "program",
    about: "replace this executable by the newest release",
    examples: [
      ["update --check", "only say whether there is a newer one"],
      ["update", "check its checksum, then replace this one"],
    ],
    load: () => import("./commands/update.ts").then((module) => module.update),
  },
  completions: {
    group: "program",
    about: "print a shell's completion script",
    operands: "bash|zsh|fish|powershell",
    words: ["bash", "zsh", "fish", "powershell"],
    examples: [
      ["completions bash > ~/.local/share/bash-completion/completions/plansocket", "for bash"],
      ["completions fish > ~/.config/fish/completions/plansocket.fish", "for fish"],
    ],
    load: () => import("./commands/completions.ts").then((module) => module.completions),
  },
  man: {
    group: "program",
    about: "print the manual page",
    examples: [
      ["man | man -l -", "read it"],
      ["man > ~/.local/share/man/man1/plansocket.1", "install it"],
    ],
    load: () => import("./commands/man.ts").then((module) => module.man),
  },
};
