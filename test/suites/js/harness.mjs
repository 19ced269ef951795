/** Runs the cases of one suite and says of each on a line of JSON whether it held. */

export const BASE = process.env["SUITE_BASE"] ?? "";
export const MODEL = process.env["SUITE_MODEL"] ?? "";

/** Cases by name; each returns nothing, or throws. Ends the process: some SDKs keep it alive. */
export async function run(cases) {
  for (const [name, attempt] of Object.entries(cases)) {
    try {
      await attempt();
      console.log(JSON.stringify({ case: name, ok: true }));
    } catch (error) {
      const more = error?.responseBody ?? error?.cause ?? "";
      const reason = `${String(error)} ${typeof more === "string" ? more : JSON.stringify(more)}`;
      console.log(JSON.stringify({ case: name, ok: false, reason: reason.slice(0, 600) }));
    }
  }
  process.exit(0);
}

export function check(holds, message) {
  if (!holds) throw new Error(message);
}

/** The error that `call` ends with; throws when it ends well. */
export async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("no error");
}
