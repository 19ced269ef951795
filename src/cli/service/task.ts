import { join } from "node:path";
import type { ServiceManager } from "./manager.ts";
import type { ServicePlan } from "./plan.ts";
import { escapeXml } from "./xml.ts";

const NAME = "plansocket";

/** A scheduled task of Windows that starts the background relay at log-on with the settings in its state file. */
export function scheduledTask(stateDir: string, user: string): ServiceManager {
  const file = join(stateDir, "service.xml");
  return {
    name: "scheduled task",
    file,
    // schtasks wants UTF-16 with its mark.
    describe: (plan) => ({ path: file, content: Buffer.from(`\ufeff${taskText(plan, user)}`, "utf16le"), mode: 0o600 }),
    install: [
      { command: ["schtasks", "/Create", "/TN", NAME, "/XML", file, "/F"] },
      { command: ["schtasks", "/Run", "/TN", NAME] },
    ],
    uninstall: [{ command: ["schtasks", "/Delete", "/TN", NAME, "/F"] }],
    afterRemoval: [],
    keepsState: true,
    logHint: () => "plansocket logs",
    remark: "It starts when you log on, as `plansocket start` would; status, logs and stop work on it.",
  };
}

/** The task. It ends as soon as the relay answers, which goes on by itself. */
export function taskText(plan: ServicePlan, user: string): string {
  const [program = "", ...words] = plan.command;
  const line = [...words, "restart", "--state-file", plan.stateFile].map((word) => `"${word}"`).join(" ");
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>plansocket, LLM APIs on a ChatGPT plan</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>${escapeXml(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="owner">
      <UserId>${escapeXml(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT5M</ExecutionTimeLimit>
  </Settings>
  <Actions Context="owner">
    <Exec>
      <Command>${escapeXml(program)}</Command>
      <Arguments>${escapeXml(line)}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}
