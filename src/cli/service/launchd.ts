import { join } from "node:path";
import type { ServiceManager } from "./manager.ts";
import type { ServicePlan } from "./plan.ts";
import { escapeXml } from "./xml.ts";

/** A bare name: a reversed domain would be somebody's. */
const LABEL = "plansocket";

/**
 * launchd reads no environment file, and its own entries would put keys into the description: so a shell reads the file
 * and becomes the relay. It opens the log itself, for appending, which rotation needs.
 */
const SCRIPT = 'set -a && . "$1" && shift && exec "$@" serve 2>>"$PLANSOCKET_LOG_FILE"';

/** A launchd agent of the user `uid`. */
export function launchd(home: string, uid: number): ServiceManager {
  const file = join(home, "Library/LaunchAgents", `${LABEL}.plist`);
  const domain = `gui/${uid}`;
  const bootout = { command: ["launchctl", "bootout", `${domain}/${LABEL}`], mayFail: true };
  return {
    name: "launchd agent",
    file,
    session: {
      name: "launchd session",
      probe: ["launchctl", "print", domain],
      hint: "log in at this Mac's screen as this user",
    },
    describe: (plan) => ({ path: file, content: plistText(plan), mode: 0o644 }),
    install: [
      bootout,
      { command: ["launchctl", "enable", `${domain}/${LABEL}`] },
      // Unloading goes on after its command has ended, and until then loading fails.
      { command: ["launchctl", "bootstrap", domain, file], isRetried: true },
    ],
    uninstall: [bootout],
    afterRemoval: [],
    logsToFile: true,
    logHint: ({ logFile }) => `tail ${logFile}`,
    remark: "It starts when you log in and ends when you log out.",
  };
}

/** The agent's property list. */
export function plistText(plan: ServicePlan): string {
  const words = ["/bin/sh", "-c", SCRIPT, "plansocket", plan.envFile, ...plan.command];
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${escapeXml(word)}</string>`).join("\n")}
  </array>
  <key>WorkingDirectory</key>
  <string>${escapeXml(plan.stateDir)}</string>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>${Math.ceil(plan.stopLimitMs / 1000)}</integer>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
`;
}
