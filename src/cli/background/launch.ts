import { closeSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { fileFailure } from "../../lib/file-failure.ts";
import { assertOwnFolder, openPrivate, assertPlainFile, writePrivate } from "../../lib/private-file.ts";
import { relayAt } from "../relay-at.ts";
import {
  BACKGROUND_VARIABLE,
  fetchLimit,
  loginVariables,
  neutral,
  variablesOf,
  type ExplicitSettings,
} from "./explicit-settings.ts";
import { rotateIfLarge, textAfter } from "./log-file.ts";
import type { BackgroundPaths } from "./paths.ts";
import { selfCommand } from "./process.ts";
import { keepSettings, loadState, makeFolder, saveState, savedSettings, type State } from "./state.ts";
import { nonEmptyString } from "../../lib/json.ts";
import { errorCode, errorField } from "../../lib/thrown.ts";

/** Everything that a background relay is started with. */
export interface Plan {
  readonly command: State["command"];
  readonly given: ExplicitSettings;
  /** Variables besides settings, as `otherVariables` takes them. */
  readonly other: Readonly<Record<string, string>>;
  readonly paths: BackgroundPaths;
  readonly maxRequests: number;
}

export interface Started {
  readonly pid: number;
  readonly url: string;
}

/** A relay answers within a tenth of a second; a machine under load or a slow disk may need far longer. */
const START_LIMIT_MS = 20_000;
const POLL_MS = 15;
const TAIL_LINES = 12;

/**
 * Starts a relay of its own session and waits until /health shows that it is this one. Throws `start_failed` with the
 * reason from its log; then nothing is left running and the state of the last start is as it was.
 */
export async function launch(plan: Plan, env: Readonly<Record<string, string | undefined>>): Promise<Started> {
  const { paths } = plan;
  const before = await remember(paths);
  const instance = crypto.randomUUID().replaceAll("-", "");
  let child: Bun.Subprocess | undefined;
  try {
    assertOwnFolder(paths.stateDir);
    for (const path of [paths.stateFile, paths.secretFile, paths.logFile, paths.pidFile]) assertPlainFile(path);
    await saveState(paths.stateFile, await stateOf(plan, instance, env));
    await makeFolder(paths.logFile);
    await makeFolder(paths.pidFile);
    rotateIfLarge(paths.logFile);
    const logStart = statSync(paths.logFile, { throwIfNoEntry: false })?.size ?? 0;
    child = spawn(plan, instance, env);
    writePrivate(paths.pidFile, `${child.pid}\n`);
    return await answering(child, instance, paths, logStart);
  } catch (error) {
    child?.kill("SIGKILL");
    await child?.exited;
    await rm(paths.pidFile, { force: true }).catch(() => {});
    // The same cause may fail here too; the first error is the one reported.
    await before.restore().catch(() => {});
    throw error instanceof RelayError ? error : unwritable(error, paths);
  }
}

function unwritable(error: unknown, { stateDir }: BackgroundPaths): RelayError {
  const dest = nonEmptyString(errorField(error, "dest")) ?? nonEmptyString(errorField(error, "path"));
  const code = errorCode(error);
  if (code === undefined) return toRelayError(error);
  const known = fileFailure(error, { path: dest ?? stateDir, instead: "or choose another folder with --state-dir" });
  if (known) return known;
  return new RelayError("start_failed", `${dest ?? `A file in ${stateDir}`} could not be written (${code}).`, {
    hint: "Make room for it and its folder writable, or choose another with --state-dir.",
    cause: error,
  });
}

/** The environment of a relay that is set up by `given` and nothing else; the process list does not show it. */
export function childEnvironment(
  plan: Pick<Plan, "given" | "other" | "paths" | "maxRequests">,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const { paths } = plan;
  return {
    ...neutral(env),
    ...plan.other,
    ...fetchLimit(plan.maxRequests),
    ...variablesOf(plan.given),
    PLANSOCKET_STATE_DIR: paths.stateDir,
    PLANSOCKET_STATE_FILE: paths.stateFile,
    PLANSOCKET_PID_FILE: paths.pidFile,
    PLANSOCKET_LOG_FILE: paths.logFile,
  };
}

function spawn(plan: Plan, instance: string, env: Readonly<Record<string, string | undefined>>): Bun.Subprocess {
  const log = openPrivate(plan.paths.logFile, "append");
  try {
    const child = Bun.spawn([...selfCommand(), plan.command], {
      // A folder that it started in could otherwise not be removed or unmounted.
      cwd: plan.paths.stateDir,
      env: { ...childEnvironment(plan, env), [BACKGROUND_VARIABLE]: instance },
      stdio: ["ignore", log, log],
      detached: true,
      windowsHide: true,
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

async function answering(
  child: Bun.Subprocess,
  instance: string,
  paths: BackgroundPaths,
  logStart: number,
): Promise<Started> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw whyEnded(child, await textAfter(paths.logFile, logStart), paths);
    }
    const state = await loadState(paths.stateFile);
    if (state?.instance === instance && state.url !== undefined) {
      if ((await relayAt(state.url))?.instance === instance) return { pid: child.pid, url: state.url };
    }
    await Bun.sleep(POLL_MS);
  }
  throw new RelayError("start_failed", `The relay did not answer within ${START_LIMIT_MS / 1000} seconds.`, {
    hint: `Its log may say why: ${paths.logFile}.`,
  });
}

/** The relay's own last words, in the form in which `serve` would have said them. */
function whyEnded(child: Bun.Subprocess, text: string, paths: BackgroundPaths): RelayError {
  const [, message, hint] = /^plansocket: (.+)\n(?: {2}(.+)\n)?/m.exec(text) ?? [];
  if (message !== undefined) return new RelayError("start_failed", message, hint === undefined ? {} : { hint });
  const how = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
  const tail = text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n  ");
  return new RelayError("start_failed", `The relay ended right after its start (${how}).`, {
    hint: tail === "" ? "`plansocket serve` runs it where you can see it." : `${tail}\n  The log is ${paths.logFile}.`,
  });
}

async function stateOf(
  plan: Plan,
  instance: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<State> {
  return {
    command: plan.command,
    instance,
    pid_file: plan.paths.pidFile,
    log_file: plan.paths.logFile,
    ...(await keepSettings(plan.given, plan.paths)),
    environment: { ...plan.other },
    login_variables: plan.command === "demo" ? [] : loginVariables(env),
  };
}

/** A start that fails must not cost the settings that worked. */
async function remember(paths: BackgroundPaths): Promise<{ restore: () => Promise<void> }> {
  const state = await loadState(paths.stateFile);
  const given = state && (await savedSettings(state, paths).catch(() => undefined));
  return {
    async restore() {
      if (!state || !given) {
        await rm(paths.stateFile, { force: true });
        await rm(paths.secretFile, { force: true });
        return;
      }
      await keepSettings(given, paths);
      await saveState(paths.stateFile, state);
    },
  };
}
