import { join } from "node:path";
import type { ServiceManager, Step } from "./manager.ts";
import type { ServicePlan } from "./plan.ts";

const UNIT = "plansocket.service";
const own = (...words: string[]): Step => ({ command: ["systemctl", "--user", ...words] });

/** What needs a file system of the service's own. */
const SANDBOX = ["ProtectSystem=strict", "ProtectHome=read-only", "ProtectControlGroups=yes"];
const OWN_TMP = "PrivateTmp=yes";

/** Tells whether this machine lets user units have that: some forbid user namespaces. */
export const SANDBOX_PROBE = [
  ..."systemd-run --user --wait --quiet --collect".split(" "),
  ...[...SANDBOX, OWN_TMP].map((property) => `--property=${property}`),
  "true",
];

/** A systemd user unit. Without `hasSandbox` it leaves out what needs a file system of its own. */
export function systemd(configHome: string, hasSandbox: boolean): ServiceManager {
  const file = join(configHome, "systemd/user", UNIT);
  return {
    name: "systemd user unit",
    file,
    // `disable` takes it away, where somebody can be asked.
    links: [join(configHome, "systemd/user/default.target.wants", UNIT)],
    session: {
      name: "systemd user manager",
      probe: ["systemctl", "--user", "show", "--property=Version"],
      hint: "log in as this user in a session of its own (not su or cron), or run `loginctl enable-linger` once",
    },
    describe: (plan) => ({ path: file, content: unitText(plan, hasSandbox), mode: 0o644 }),
    install: [own("daemon-reload"), own("enable", UNIT), own("restart", UNIT)],
    uninstall: [own("disable", "--now", UNIT)],
    afterRemoval: [own("daemon-reload"), { ...own("reset-failed", UNIT), mayFail: true }],
    pid: ["systemctl", "--user", "show", "--property=MainPID", "--value", UNIT],
    logHint: () => `journalctl --user -u ${UNIT}`,
    remark:
      "It starts when you log in and ends with your last session. To have it from boot on, whether or not anybody is " +
      "logged in, run `loginctl enable-linger` once.",
  };
}

/** The unit. Everything that a user may set is in the environment file. */
export function unitText(plan: ServicePlan, hasSandbox: boolean): string {
  return `[Unit]
Description=plansocket, LLM APIs on a ChatGPT plan
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${[...plan.command, "serve"].map(execWord).join(" ")}
EnvironmentFile=${specifiers(plan.envFile)}
Restart=on-failure
RestartSec=2
# Another start does not change wrong usage.
RestartPreventExitStatus=2
# The relay's --stop-delay and --drain-timeout, and a little more.
TimeoutStopSec=${Math.ceil(plan.stopLimitMs / 1000)}
UMask=0077

NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
# No MemoryDenyWriteExecute: JavaScript is compiled while it runs.
${hasSandbox ? sandbox(plan) : "# This system does not give user units a file system of their own.\n"}
[Install]
WantedBy=default.target
`;
}

function sandbox({ command, envFile, writableFolders }: ServicePlan): string {
  // A folder for temporary files of its own would hide what lies in the common one.
  const isTemporary = [...command, envFile, ...writableFolders].some((path) => /^(\/var)?\/tmp\//.test(path));
  const folders = writableFolders.map((folder) => quoted(specifiers(folder)));
  const lines = [...SANDBOX, ...(isTemporary ? [] : [OWN_TMP]), `ReadWritePaths=${folders.join(" ")}`];
  return `${lines.join("\n")}\n`;
}

/** In command lines variables are filled in, besides specifiers. */
function execWord(word: string): string {
  return quoted(specifiers(word).replaceAll("$", "$$$$"));
}

function quoted(word: string): string {
  return `"${word.replace(/["\\]/g, "\\$&")}"`;
}

function specifiers(text: string): string {
  return text.replaceAll("%", "%%");
}
