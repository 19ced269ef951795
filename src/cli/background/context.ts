import { loadSettings, type FlagValues, type Judgment, type Loaded } from "../../config/load.ts";
import { fileFailure } from "../../lib/file-failure.ts";
import { takeLock } from "../../lib/lock-file.ts";
import { takeOverProxyEnvironment } from "../../upstream/egress.ts";
import { BACKGROUND_SETTINGS } from "../flags.ts";
import { warnOf } from "../output.ts";
import { otherUsersFailure } from "./other-user.ts";
import { stopLimitMs } from "./end.ts";
import { childEnvironment } from "./launch.ts";
import { otherVariables, type ExplicitSettings } from "./explicit-settings.ts";
import { backgroundPaths, type BackgroundPaths } from "./paths.ts";
import { loadState, makeFolder, savedSettings, type State } from "./state.ts";
import { errorCode } from "../../lib/thrown.ts";

/** What every command on the background relay works with: the settings of now, and the saved state of the last start. */
export interface BackgroundContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly loaded: Loaded;
  readonly judgment: Judgment | undefined;
  readonly paths: BackgroundPaths;
  readonly state: State | undefined;
}

/** For commands that only inspect or stop the background relay: only the settings that locate it are validated. */
export const INSPECTION: Judgment = { needs: BACKGROUND_SETTINGS, toleratesFile: true };

/** A start at its longest, under one lock with a stop. */
const START_MS = 60_000;

/** Loads settings and the saved state. Without `judgment` every setting is validated, as for a start. Throws `usage`. */
export async function openBackgroundContext(flags: FlagValues, judgment?: Judgment): Promise<BackgroundContext> {
  const env = { ...process.env };
  const loaded = await loadSettings(flags, env, judgment);
  warnOf(loaded.warnings);
  // The relay is asked over loopback, which Bun would send through a proxy too.
  takeOverProxyEnvironment(process.env);
  const { stateFile } = backgroundPaths(loaded, env);
  const state = await loadState(stateFile);
  return { env, loaded, judgment, paths: backgroundPaths(loaded, env, state), state };
}

/** Error codes of a disk on which no lock can be written. Stopping goes on without a lock: no other command can take it. */
const NO_ROOM = new Set(["ENOSPC", "EDQUOT", "EROFS"]);

/** Runs `work` under the lock file of the background state, one command at a time; reads the state after locking. */
export async function withStateLock<Result>(
  context: BackgroundContext,
  work: (state: State | undefined) => Promise<Result>,
  { isEnding = false, limitMs }: { isEnding?: boolean; limitMs?: number } = {},
): Promise<Result> {
  const { lockFile, stateDir, stateFile } = context.paths;
  let release: () => Promise<void>;
  try {
    await makeFolder(lockFile);
    await makeFolder(`${stateDir}/x`);
    const longestMs = limitMs ?? (await relayStopLimitMs(context, context.state));
    release = await takeLock(lockFile, { staleMs: 2 * longestMs + START_MS });
  } catch (error) {
    if (isEnding && NO_ROOM.has(errorCode(error) ?? "")) return work(await loadState(stateFile));
    const isForbidden = errorCode(error) === "EACCES";
    const others = isForbidden ? otherUsersFailure(lockFile) : undefined;
    if (others) throw others;
    throw fileFailure(error, { path: lockFile, instead: "or choose another folder with --state-dir" }) ?? error;
  }
  try {
    return await work(await loadState(stateFile));
  } finally {
    await release();
  }
}

/** Settings and environment of the relay that the last start left, computed as `loadSettings` does in that process. */
export async function settingsOfRelay(
  context: BackgroundContext,
  given: ExplicitSettings,
  other: Readonly<Record<string, string>> = context.state?.environment ?? otherVariables(context.env),
): Promise<{ loaded: Loaded; env: Record<string, string> }> {
  const { paths } = context;
  const env = childEnvironment({ given, other, paths, maxRequests: 0 }, context.env);
  return { loaded: await loadSettings({}, env, context.judgment), env };
}

/** How long the relay that the last start left takes to stop by itself at most. */
export async function relayStopLimitMs(context: BackgroundContext, state: State | undefined): Promise<number> {
  const given = await settingsOfLastStart(context, state).catch(() => ({}));
  return stopLimitMs((await settingsOfRelay(context, given)).loaded.settings);
}

/** Settings of the last start, or none. */
export async function settingsOfLastStart(
  context: BackgroundContext,
  state: State | undefined,
): Promise<ExplicitSettings> {
  return state ? savedSettings(state, context.paths) : {};
}
