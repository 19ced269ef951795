import { readFileSync } from "node:fs";
import { decodeText } from "./decode-text.ts";
import type { Environment } from "./environment.ts";
import { RelayError } from "./errors.ts";
import { expandTilde } from "./home.ts";
import { errorCode } from "./thrown.ts";

/**
 * A secret that a container platform mounts as a file, which `variable` names. Throws `usage` for one that cannot be read
 * or is empty: a relay without its key is open to all.
 */
export function secretInFile(variable: string, env: Environment): string {
  const path = expandTilde(env[variable] ?? "", env);
  const refuse = (reason: string) =>
    new RelayError("usage", `${variable} names ${path}, which ${reason}.`, {
      hint: "Let it name a file that this user can read and that holds the secret alone.",
    });
  let text: string;
  try {
    text = decodeText(readFileSync(path)).trim();
  } catch (error) {
    throw refuse(`cannot be read (${errorCode(error) ?? "unknown"})`);
  }
  if (text === "") throw refuse("is empty");
  return text;
}
