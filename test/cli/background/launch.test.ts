import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CommandHome } from "../../support/cli.ts";
import { processesOf } from "../../support/processes.ts";

let home: CommandHome;
beforeEach(() => {
  home = new CommandHome();
});
afterEach(() => {
  for (const pid of processesOf(home.path)) process.kill(pid, "SIGKILL");
  home.remove();
});

test.each([
  ["pid file", "--pid-file"],
  ["log file", "--log-file"],
  ["state file", "--state-file"],
])(
  "a %s that cannot be written is told, and leaves nothing running",
  async (_which, flag) => {
    const folder = join(home.path, "folder");
    mkdirSync(folder);
    const { code, err } = await home.run(["start", "--demo", "--port", "0", flag, folder]);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/folder could not be written: a folder .+ \(EISDIR\)\.\n {2}Move that folder away, or/),
    ]);
    expect(processesOf(home.path)).toEqual([]);
    expect(existsSync(join(home.path, ".local/state/plansocket/plansocket.pid"))).toBe(false);
  },
  60_000,
);
