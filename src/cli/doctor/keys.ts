import type { KeyPlace } from "../../keys/key-list.ts";
import { stateOf, type ClientKey } from "../../keys/key.ts";
import { toRelayError } from "../../lib/errors.ts";
import { moment } from "../../lib/time.ts";
import { fail, ok, warn, type Outcome } from "./finding.ts";

/** Keys that end within this are told beforehand. */
const SOON_MS = 3 * 24 * 3_600_000;

/** The clients' keys: whether the relay can read them, who else can, and which have ended or will soon. */
export function keysCheck(file: KeyPlace, nowMs = Date.now()): Outcome {
  try {
    const read: { readonly keys: readonly ClientKey[]; readonly mode?: number } | undefined = file.read();
    if (!read) return ok("none: clients need no key of their own", { path: file.path, keys: 0 });
    return judge(read.keys, read.mode ?? 0, file.path, nowMs);
  } catch (thrown) {
    const { message, hint } = toRelayError(thrown);
    return fail(`${message} A relay that starts now lets nobody in by them.`, hint ?? "Correct it.", {
      path: file.path,
    });
  }
}

function judge(keys: readonly ClientKey[], mode: number, path: string, nowMs: number): Outcome {
  const named = (state: string) => keys.filter((key) => stateOf(key, nowMs) === state);
  const [usable, expired] = [named("usable"), named("expired")];
  const detail = { path, keys: keys.length, usable: usable.length, expired: expired.map(({ name }) => name) };
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    const how = mode.toString(8).padStart(4, "0");
    return warn(
      `Others can read or change ${path} (mode ${how}); it says what each key may do.`,
      `chmod 600 ${path}`,
      detail,
    );
  }
  if (usable.length === 0) {
    return warn(
      "No key is usable: clients come in by --api-key alone.",
      "Make one: `plansocket keys add NAME`.",
      detail,
    );
  }
  const summary = `${usable.length} usable`;
  const [first] = expired;
  if (first) {
    const names = expired.map(({ name }) => name).join(", ");
    const ended = `expired: ${names}`;
    return warn(`${summary}; ${ended}`, `Renew one with \`plansocket keys add ${first.name}\`, or revoke it.`, detail);
  }
  const soon = usable.find(({ expiresAtMs }) => expiresAtMs !== undefined && expiresAtMs < nowMs + SOON_MS);
  if (soon?.expiresAtMs === undefined) return ok(summary, detail);
  const until = moment(soon.expiresAtMs, nowMs);
  return warn(
    `${summary}; '${soon.name}' expires ${until}`,
    `Then make a new one: \`plansocket keys add ${soon.name}\`.`,
    detail,
  );
}
