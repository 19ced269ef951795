import { RelayError } from "../lib/errors.ts";
import { fileFailure } from "../lib/file-failure.ts";

/** Failures of the system and of time limits, which happen to correct programs too; undefined for anything else. */
export function expectedFailure(thrown: unknown): RelayError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { name } = thrown;
  if (name === "TimeoutError" || name === "AbortError") {
    return new RelayError("upstream_timeout", "There was no answer in time.", {
      hint: "Check your network; `plansocket doctor` names the host that does not answer.",
      cause: thrown,
    });
  }
  return fileFailure(thrown);
}
