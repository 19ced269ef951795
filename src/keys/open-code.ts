import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseJson } from "../lib/json.ts";
import { assertOwnFolder, readOwn, writePrivate } from "../lib/private-file.ts";
import { keyDigest } from "./key.ts";

/** From writing the code to the browser's request. */
const CODE_MS = 60_000;
/** The file is a tenth of it. */
const MOST_BYTES = 4096;

const Code = z.object({ sha256: z.string(), until_ms: z.number() });

function codePath(stateFolder: string): string {
  return join(stateFolder, "open-code.json");
}

/**
 * A code that opens the status page once, left in the state folder for the relay that runs there: whoever may write in
 * that folder is its owner, and no key has to stand on a command line. Throws `start_failed` for a folder or file of
 * somebody else, and the error of the file system.
 */
export function leaveOpenCode(stateFolder: string, nowMs = Date.now()): string {
  const code = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  assertOwnFolder(stateFolder);
  const kept = { sha256: keyDigest(code).toString("hex"), until_ms: nowMs + CODE_MS };
  writePrivate(codePath(stateFolder), `${JSON.stringify(kept)}\n`);
  return code;
}

/** True for the code that was left last, once and soon. Whatever it is, it is gone afterwards. Never throws. */
export function takeOpenCode(stateFolder: string, code: string, nowMs = Date.now()): boolean {
  try {
    const path = codePath(stateFolder);
    const kept = Code.safeParse(parseJson(readOwn(path, MOST_BYTES)?.text ?? ""));
    rmSync(path, { force: true });
    if (!kept.success || kept.data.until_ms < nowMs || kept.data.until_ms > nowMs + CODE_MS) return false;
    const expected = Buffer.from(kept.data.sha256, "hex");
    const digest = keyDigest(code);
    return expected.length === digest.length && crypto.timingSafeEqual(expected, digest);
  } catch {
    return false;
  }
}
