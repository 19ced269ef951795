import { closeSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { assertOwnFolder, openPrivate, refuseLink, writePrivate } from "../../lib/private-file.ts";
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

/** Everything that a background relay is started with. */
export interface Plan {
  readonly command: State["command"];
  readonly given: ExplicitSettings;
  /** Variables besides settings, as `otherVariables` takes them. */
  readonly other: Readonly<Record<string, string>>;
  readonly places: BackgroundPaths;
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
  const { places } = plan;
  const before = await remember(places);
  const instance = crypto.randomUUID().replaceAll("-", "");
  let child: Bun.Subprocess | undefined;
  try {
    assertOwnFolder(places.stateDir);
    for (const path of [places.stateFile, places.secretFile, places.logFile, places.pidFile]) refuseLink(path);
    await saveState(places.stateFile, await stateOf(plan, instance, env));
    await makeFolder(places.logFile);
    await makeFolder(places.pidFile);
    rotateIfLarge(places.logFile);
    const logStart = statSync(places.logFile, { throwIfNoEntry: false })?.size ?? 0;
    child = spawn(plan, instance, env);
    writePrivate(places.pidFile, `${child.pid}\n`);
    return await answering(child, instance, places, logStart);
  } catch (error) {
    child?.kill("SIGKILL");
    await child?.exited;
    await rm(places.pidFile, { force: true }).catch(() => {});
    // The same cause may fail here too; the first error is the one reported.
    await before.restore().catch(() => {});
    throw error instanceof RelayError ? error : unwritable(error, places);
  }
}

function unwritable(error: unknown, { stateDir }: BackgroundPaths): RelayError {
  const { code, path, dest = path } = error as { code?: string; path?: string; dest?: string };
  if (code === undefined) return toRelayError(error);
  return new RelayError("start_failed", `${dest ?? `A file in ${stateDir}`} could not be written (${code}).`, {
    hint: "Make room for it and its folder writable, or choose another with --state-dir.",
    cause: error,
  });
}

/** The environment of a relay that is set up by `given` and nothing else; the process list does not show it. */
export function childEnvironment(
  plan: Pick<Plan, "given" | "other" | "places" | "maxRequests">,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const { places } = plan;
  return {
    ...neutral(env),
    ...plan.other,
    ...fetchLimit(plan.maxRequests),
    ...variablesOf(plan.given),
    PLANSOCKET_STATE_DIR: places.stateDir,
    PLANSOCKET_STATE_FILE: places.stateFile,
    PLANSOCKET_PID_FILE: places.pidFile,
    PLANSOCKET_LOG_FILE: places.logFile,
  };
}

function spawn(plan: Plan, instance: string, env: Readonly<Record<string, string | undefined>>): Bun.Subprocess {
  const log = openPrivate(plan.places.logFile, "append");
  try {
    const child = Bun.spawn([...selfCommand(), plan.command], {
      // A folder that it started in could otherwise not be removed or unmounted.
      cwd: plan.places.stateDir,
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
  places: BackgroundPaths,
  logStart: number,
): Promise<Started> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw whyEnded(child, await textAfter(places.logFile, logStart), places);
    }
    const state = await loadState(places.stateFile);
    if (state?.instance === instance && state.url !== undefined) {
      if ((await relayAt(state.url))?.instance === instance) return { pid: child.pid, url: state.url };
    }
    await Bun.sleep(POLL_MS);
  }
  throw new RelayError("start_failed", `The relay did not answer within ${START_LIMIT_MS / 1000} seconds.`, {
    hint: `Its log may say why: ${places.logFile}.`,
  });
}

/** The relay's own last words, in the form in which `serve` would have said them. */
function whyEnded(child: Bun.Subprocess, text: string, places: BackgroundPaths): RelayError {
  const [, message, hint] = /^plansocket: (.+)\n(?: {2}(.+)\n)?/m.exec(text) ?? [];
  if (message !== undefined) return new RelayError("start_failed", message, hint === undefined ? {} : { hint });
  const how = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
  const tail = text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n  ");
  return new RelayError("start_failed", `The relay ended right after its start (${how}).`, {
    hint: tail === "" ? "`plansocket serve` runs it where you can see it." : `${tail}\n  The log is ${places.logFile}.`,
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
    pid_file: plan.places.pidFile,
    log_file: plan.places.logFile,
    ...(await keepSettings(plan.given, plan.places)),
    environment: { ...plan.other },
    login_variables: plan.command === "demo" ? [] : loginVariables(env),
  };
}

/** A start that fails must not cost the settings that worked. */
async function remember(places: BackgroundPaths): Promise<{ restore: () => Promise<void> }> {
  const state = await loadState(places.stateFile);
  const given = state && (await savedSettings(state, places).catch(() => undefined));
  return {
    async restore() {
      if (!state || !given) {
        await rm(places.stateFile, { force: true });
        await rm(places.secretFile, { force: true });
        return;
      }
      await keepSettings(given, places);
      await saveState(places.stateFile, state);
    },
  };
}
