import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandHome } from "../support/cli.ts";

let home: CommandHome;
let state: string;
beforeEach(() => {
  home = new CommandHome();
  state = join(home.path, ".local/state/plansocket");
});
afterEach(() => home.remove());

const FILES = ["plansocket.pid", "background.json", "plansocket.log"];
const COMMANDS = [["start", "--demo", "--port", "0"], ["status"], ["logs"], ["stop"]];

const PLACES: Readonly<Record<string, (path: string) => void>> = {
  pipe: (path) => {
    Bun.spawnSync(["mkfifo", path]);
  },
  folder: (path) => {
    mkdirSync(path);
  },
  link: (path) => {
    const precious = join(home.path, "precious");
    writeFileSync(precious, "mine", { mode: 0o644 });
    symlinkSync(precious, path);
  },
};

describe.each(FILES)("%s", (name) => {
  test.each(Object.keys(PLACES))(
    "that is a %s is told in words by every command, and waited for by none",
    async (kind) => {
      mkdirSync(state, { recursive: true });
      PLACES[kind]?.(join(state, name));
      for (const words of COMMANDS) {
        const { code, err, out } = await home.run(words);
        expect(out + err).not.toMatch(/bug|\n {4}at /);
        if (words[0] === "start") expect([code, err]).toEqual([1, expect.stringContaining(join(state, name))]);
      }
      if (kind === "link") {
        const precious = join(home.path, "precious");
        expect([readFileSync(precious, "utf8"), statSync(precious).mode & 0o777]).toEqual(["mine", 0o644]);
      }
    },
  );
});

describe.each(["0000", "0177", "0277", "0777"])("under umask %s", (umask) => {
  const wrapper = ["sh", "-c", `umask ${umask}; exec "$@"`, "sh"];
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

  test("folders are their owner's to enter and files private", async () => {
    const { code, err } = await home.run(["start", "--demo", "--port", "0"], {}, wrapper);
    try {
      expect([code, err]).toEqual([0, expect.stringContaining("runs in the background")]);
      const modes = [modeOf(join(home.path, ".local/state")), modeOf(state)];
      expect([...modes, ...FILES.map((name) => modeOf(join(state, name)))]).toEqual([
        "700",
        "700",
        "600",
        "600",
        "600",
      ]);
    } finally {
      await home.run(["stop", "--timeout", "0"]);
    }
  });

  test("a command that is run has its caller's", async () => {
    const { out } = await home.run(["run", "--demo", "--", "sh", "-c", "umask"], {}, wrapper);
    expect(out.trim()).toBe(umask);
  });
});
