import { RelayError } from "../lib/errors.ts";
import { pathText } from "../codex/request/path.ts";
import type { JsonObject } from "../lib/json.ts";
import { missing, wrongType } from "./refuse.ts";

/** What zod found, as far as it is told. */
interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly expected?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
}

/** The first fault of a body that its schema refused, in OpenAI's words. */
export function firstIssue([issue]: readonly Issue[], body: JsonObject): RelayError {
  if (!issue) return new RelayError("invalid_request", "The request is not valid.");
  const param = pathText(issue.path);
  const value = issue.path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    body,
  );
  if (value === undefined) return missing(param);
  if (issue.code === "invalid_union") return wrongType(param, `a string or an array of ${elementsOf(issue)}`, value);
  if (issue.code === "invalid_type") return wrongType(param, wanted(issue), value);
  if (issue.code === "too_small" && typeof value === "number") {
    const text = `integer below minimum value. Expected a value >= ${String(issue.minimum)}, but got ${value} instead`;
    return new RelayError("invalid_value", `Invalid '${param}': ${text}.`, { param });
  }
  if (issue.code === "too_big" && typeof value === "number") {
    const text = `integer above maximum value. Expected a value <= ${String(issue.maximum)}, but got ${value} instead`;
    return new RelayError("invalid_value", `Invalid '${param}': ${text}.`, { param });
  }
  return new RelayError("invalid_value", `Invalid '${param}': ${issue.message}.`, { param });
}

/** Lists of strings and whole numbers, which zod's own words do not tell from objects and fractions. */
const OF_STRINGS = new Set<unknown>(["modalities", "stop", "include"]);
const WHOLE = new Set<unknown>(["n", "max_tokens", "max_completion_tokens", "max_output_tokens"]);

function elementsOf({ path }: Issue): string {
  return OF_STRINGS.has(path[0]) ? "strings" : "objects";
}

function wanted(issue: Issue): string {
  const type = String(issue.expected);
  if (type === "array") return `an array of ${elementsOf(issue)}`;
  return article(WHOLE.has(issue.path[0]) ? "int" : type);
}

function article(type: string): string {
  if (type === "int") return "an integer";
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}
