import { RelayError } from "../../lib/errors.ts";
import type { Step } from "./manager.ts";

const RETRIES = 10;
const PAUSE_MS = 500;

/** True when the system's own tool is here. */
export function hasTool(steps: readonly Step[]): boolean {
  return steps.every(({ command: [tool = ""] }) => Bun.which(tool) !== null);
}

/** Runs the steps in order. Throws `service_failed` with the tool's own words and what would have come next. */
export async function runSteps(steps: readonly Step[]): Promise<void> {
  for (const [index, step] of steps.entries()) {
    let result = ran(step.command);
    for (let tries = 0; step.isRetried === true && result.code !== 0 && tries < RETRIES; tries += 1) {
      await Bun.sleep(PAUSE_MS);
      result = ran(step.command);
    }
    if (result.code === 0 || step.mayFail === true) continue;
    const said = result.said === "" ? `exit code ${result.code}` : result.said;
    throw new RelayError("service_failed", `\`${step.command.join(" ")}\` failed: ${said}`, {
      hint: `Once that is fixed, run: \`${commandLine(steps.slice(index))}\``,
    });
  }
}

/** What one command printed; undefined when it failed. */
export function outputOf(command: readonly string[]): string | undefined {
  if (Bun.which(command[0] ?? "") === null) return undefined;
  const { exitCode, stdout } = Bun.spawnSync([...command], { stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : undefined;
}

/** Steps as a person types them. */
export function commandLine(steps: readonly Step[]): string {
  const word = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
  return steps.map((step) => step.command.map(word).join(" ")).join(" && ");
}

function ran(command: readonly string[]): { code: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command]);
  const said = `${stderr.toString()}${stdout.toString()}`.trim().split("\n")[0] ?? "";
  return { code: exitCode, said };
}
