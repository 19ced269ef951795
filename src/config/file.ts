import { decodeText } from "../lib/decode-text.ts";
import { RelayError } from "../lib/errors.ts";
import { jsonFault } from "../lib/json-fault.ts";
import { isObject, parseJson, type JsonObject } from "../lib/json.ts";
import { didYouMean } from "../lib/nearest.ts";
import { SETTINGS, type Setting } from "./settings.ts";
import { errorCode } from "../lib/thrown.ts";

/** One fault of a config file. */
export interface ConfigProblem {
  /** Undefined when the file as a whole is at fault. */
  readonly key: string | undefined;
  readonly message: string;
  readonly hint: string;
}

/** Editors look here for the schema; the relay does not. */
const SCHEMA_KEY = "$schema";

/** The text of a config file, undefined when there is none. Throws `usage` when it cannot be read. */
export function configText(path: string): Promise<string | undefined> {
  return Bun.file(path)
    .bytes()
    .then(decodeText)
    .catch((error: unknown) => refuseUnreadable(path, error));
}

/** A config file's values, and what is wrong with its form and keys. Values themselves are judged elsewhere. */
export function checkShape(text: string): { readonly values: JsonObject; readonly problems: readonly ConfigProblem[] } {
  const json = text.replace(/^\uFEFF/, "");
  const value = parseJson(json);
  if (!isObject(value)) return { values: {}, problems: [formProblem(json, value)] };
  const known = Object.values<Setting>(SETTINGS).map((setting) => setting.key);
  const unknown = Object.keys(value).filter((key) => key !== SCHEMA_KEY && !known.includes(key));
  const problems = unknown.map((key) => ({
    key: key.slice(0, 60),
    message: `Unknown key '${key.slice(0, 60)}'.`,
    hint: didYouMean(key, known, "`plansocket config schema` lists the keys."),
  }));
  return { values: value, problems };
}

function formProblem(json: string, value: unknown): ConfigProblem {
  const hint = "Fix it or remove it.";
  if (value !== undefined) return { key: undefined, message: "is not a JSON object.", hint };
  const { line, column, reason } = jsonFault(json);
  return { key: undefined, message: `is not valid JSON: line ${line}, column ${column}: ${reason}.`, hint };
}

/** An existing file holds what its owner wants, so it is never passed over in silence. */
function refuseUnreadable(path: string, error: unknown): undefined {
  const code = errorCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return undefined;
  const isFolder = code === "EISDIR";
  throw new RelayError("usage", isFolder ? `${path} is a folder.` : `${path} may not be read (${code ?? "unknown"}).`, {
    hint: isFolder ? "Remove it; settings are in a file." : "Let this user read it, or remove it.",
  });
}
