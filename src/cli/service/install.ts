import { addressOf, isFindable, listeningUrl } from "../own-relay.ts";
import { mkdir } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import type { FlagValues } from "../../config/load.ts";
import { SETTINGS, isSettingName } from "../../config/settings.ts";
import { writeAtomically } from "../../lib/atomic-file.ts";
import { RelayError } from "../../lib/errors.ts";
import { withStateLock, type BackgroundContext } from "../background/context.ts";
import {
  givenBy,
  loginVariables,
  otherVariables,
  splitSecrets,
  type ExplicitSettings,
} from "../background/explicit-settings.ts";
import { assertFree } from "../background/port.ts";
import { probe } from "../background/probe.ts";
import { keepSettings, saveState } from "../background/state.ts";
import { tilde } from "../background/messages.ts";
import { print, say, sayAsIs } from "../output.ts";
import { portOwner } from "../port-owner.ts";
import { relayAt } from "../relay-at.ts";
import { toEnvFile } from "./env-file.ts";
import { installed, managerHere, missingSession, pidOf } from "./installed.ts";
import type { ServiceFile, ServiceManager } from "./manager.ts";
import { servicePlan, type ServicePlan } from "./plan.ts";
import { commandLine, hasTool, outputOf, runSteps } from "./steps.ts";

const ANSWER_LIMIT_MS = 20_000;
const POLL_MS = 100;

/** Writes the service, has the system start it, and waits until it answers. */
export async function install(context: BackgroundContext, flags: FlagValues, isDryRun: boolean): Promise<number> {
  const { env, loaded } = context;
  const address = addressOf(loaded.settings);
  if (!isFindable(address)) {
    throw new RelayError("usage", "A service needs a port that stays the same.", { hint: "Choose one with --port." });
  }
  const given = givenBy(loaded, flags, env);
  const manager = managerHere(context);
  const plan = servicePlan(loaded, given, crypto.randomUUID().replaceAll("-", ""), env);
  if (isDryRun) return show(manager, plan, given);
  const missing = missingSession(manager);
  if (missing) {
    throw new RelayError("service_failed", `There is no ${missing.name} here to run a service.`, {
      hint: `Run \`plansocket start\` for a relay in the background; for a service, ${missing.hint}.`,
    });
  }

  const running = address.unix === undefined ? undefined : await relayAt(listeningUrl(loaded.settings));
  // The service itself may be there already, and is then replaced.
  const holder = running ? pidOf(manager) : portOwner(address.port)?.pid;
  if (holder === undefined || holder !== pidOf(manager)) await assertFree(address);
  for (const folder of plan.writableFolders) await mkdir(folder, { recursive: true, mode: 0o700 });
  if (manager.keepsState === true) await saveAsStart(context, given);
  else await write(envFileOf(manager, plan, plan.variables));
  await write(manager.describe(plan));
  warnOfLogin(context, plan);
  if (!hasTool(manager.install)) {
    say(`The ${manager.name} is written to ${tilde(manager.file)}. There is no tool here to start it with; run:`);
    sayAsIs(`  ${commandLine(manager.install)}`);
    say("Where that tool will never be, `plansocket start` runs the relay in the background.");
    return 0;
  }
  await runSteps(manager.install);
  await answering(manager, plan);
  return 0;
}

/** Prints files and commands; keys are left out. */
function show(manager: ServiceManager, plan: ServicePlan, given: ExplicitSettings): number {
  const { open } = splitSecrets(given);
  const secret = Object.keys(given)
    .filter(isSettingName)
    .filter((name) => !(name in open));
  const hidden = Object.fromEntries(secret.map((name) => [SETTINGS[name].env[0] ?? "", "(secret)"]));
  const described = manager.describe(plan);
  const files = [
    described,
    ...(manager.keepsState ? [] : [envFileOf(manager, plan, { ...plan.variables, ...hidden })]),
  ];
  for (const { path, content, mode } of files) {
    const text = typeof content === "string" ? content : new TextDecoder("utf-16le").decode(content);
    print(`# ${path} (mode ${mode.toString(8)})\n${text}`);
  }
  print(`# then\n${commandLine(manager.install)}`);
  return 0;
}

function envFileOf(
  manager: ServiceManager,
  plan: ServicePlan,
  variables: Readonly<Record<string, string>>,
): ServiceFile {
  const all = { ...variables, ...(manager.logsToFile === true ? { PLANSOCKET_LOG_FILE: plan.logFile } : {}) };
  return { path: plan.envFile, content: toEnvFile(all), mode: 0o600 };
}

async function write({ path, content, mode }: ServiceFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeAtomically(path, content, mode);
}

/** The task starts what the last `start` would have, so this is written down as one. */
async function saveAsStart(context: BackgroundContext, given: ExplicitSettings): Promise<void> {
  const { paths, env } = context;
  await withStateLock(context, async (state) => {
    const seen = await probe(state);
    if (seen.kind !== "stopped") {
      throw new RelayError("service_failed", `plansocket already runs in the background (pid ${seen.pid}).`, {
        hint: "Run `plansocket stop` first.",
      });
    }
    await saveState(paths.stateFile, {
      command: "serve",
      instance: "",
      pid_file: paths.pidFile,
      log_file: paths.logFile,
      ...(await keepSettings(given, paths)),
      environment: otherVariables(env),
      login_variables: [],
    });
  });
}

function warnOfLogin({ env }: BackgroundContext, plan: ServicePlan): void {
  const names = loginVariables(env);
  if (names.length === 0) return;
  say(`${names.join(" and ")} ${names.length === 1 ? "is" : "are"} not handed to the service: tokens are not copied.`);
  say(`  It uses the login file. For a login of its own, put the variables into ${tilde(plan.envFile)} yourself.`);
}

async function answering(manager: ServiceManager, plan: ServicePlan): Promise<void> {
  const deadline = performance.now() + ANSWER_LIMIT_MS;
  while (performance.now() < deadline) {
    const { url, relay } = await installed(plan.variables);
    if (relay || (manager.keepsState === true && (await relayAt(url)) !== undefined)) {
      say(`The plansocket service runs on ${url}.`);
      say(`  ${manager.name.padEnd(20)} ${tilde(manager.file)}`);
      if (manager.keepsState !== true) say(`  ${"settings (private)".padEnd(20)} ${tilde(plan.envFile)}`);
      say(`  ${"log".padEnd(20)} ${manager.logHint(plan)}`);
      if (!isLingering()) say(manager.remark);
      return;
    }
    await Bun.sleep(POLL_MS);
  }
  throw new RelayError("service_failed", "The service is installed, but it does not answer.", {
    hint: `Its log says why: \`${manager.logHint(plan)}\`. \`plansocket service uninstall\` takes it away again.`,
  });
}

/** True when the system keeps this user's services running without a login already. */
function isLingering(): boolean {
  return outputOf(["loginctl", "show-user", userInfo().username, "--property=Linger", "--value"]) === "yes";
}
