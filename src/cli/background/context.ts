import { loadSettings, type FlagValues, type Judgment, type Loaded } from "../../config/load.ts";
import { fileFailure } from "../../lib/file-failure.ts";
import { takeLock } from "../../lib/lock-file.ts";
import { takeOverProxyEnvironment } from "../../upstream/egress.ts";
import { BACKGROUND_SETTINGS } from "../flags.ts";
import { warnOf } from "../output.ts";
import { otherUsersFailure } from "./other-user.ts";
import { STOP_LIMIT_MS } from "./end.ts";
import { childEnvironment } from "./launch.ts";
import { otherVariables, type Given } from "./explicit-settings.ts";
import { placesOf, type Places } from "./paths.ts";
import { loadState, makeFolder, savedSettings, type State } from "./state.ts";

/** Where a command on the background relay begins: what is asked for now, and what the last start left. */
export interface BackgroundContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly loaded: Loaded;
  readonly judgment: Judgment | undefined;
  readonly places: Places;
  readonly state: State | undefined;
}

/** For commands that only look at the background relay or end it: no fault of a setting keeps them from that. */
export const LOOKING: Judgment = { needs: BACKGROUND_SETTINGS, toleratesFile: true };

/** A stop and a start under one lock, both at their longest. */
const LOCK_STALE_MS = 2 * STOP_LIMIT_MS + 60_000;

/** Without a judgment every setting has to be good, as for a start. Throws `usage`. */
export async function openDesk(flags: FlagValues, judgment?: Judgment): Promise<BackgroundContext> {
  const env = { ...process.env };
  const loaded = await loadSettings(flags, env, judgment);
  warnOf(loaded.warnings);
  // The relay is asked over loopback, which Bun would send through a proxy too.
  takeOverProxyEnvironment(process.env);
  const { stateFile } = placesOf(loaded, env);
  const state = await loadState(stateFile);
  return { env, loaded, judgment, places: placesOf(loaded, env, state), state };
}

/** Nothing can be written there, so nobody else can either: what only ends a relay need not wait for that to change. */
const NO_ROOM = new Set(["ENOSPC", "EDQUOT", "EROFS"]);

/** Does something that only one command at a time may do; the state is read again once it is its turn. */
export async function alone<Result>(
  desk: BackgroundContext,
  work: (state: State | undefined) => Promise<Result>,
  { staleMs = LOCK_STALE_MS, isEnding = false }: { staleMs?: number; isEnding?: boolean } = {},
): Promise<Result> {
  const { lockFile, stateDir, stateFile } = desk.places;
  let release: () => Promise<void>;
  try {
    await makeFolder(lockFile);
    await makeFolder(`${stateDir}/x`);
    release = await takeLock(lockFile, { staleMs });
  } catch (error) {
    if (isEnding && NO_ROOM.has((error as { code?: string }).code ?? "")) return work(await loadState(stateFile));
    const isForbidden = (error as { code?: string }).code === "EACCES";
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

/** What the relay of the last start sees: its settings as `loadSettings` has them, and its environment. */
export async function seenByRelay(
  desk: BackgroundContext,
  given: Given,
  other: Readonly<Record<string, string>> = desk.state?.environment ?? otherVariables(desk.env),
): Promise<{ loaded: Loaded; env: Record<string, string> }> {
  const { places } = desk;
  const env = childEnvironment({ given, other, places, maxRequests: 0 }, desk.env);
  return { loaded: await loadSettings({}, env, desk.judgment), env };
}

/** Settings of the last start, or none. */
export async function givenBefore(desk: BackgroundContext, state: State | undefined): Promise<Given> {
  return state ? savedSettings(state, desk.places) : {};
}
