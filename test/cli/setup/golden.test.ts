import { afterEach, beforeEach, describe, expect, setSystemTime, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Target } from "../../../src/cli/setup/client.ts";
import { CLIENTS } from "../../../src/cli/setup/index.ts";
import { filesOf, SetupHome, treeOf, type Way } from "../../support/setup.ts";

const CASES = join(import.meta.dir, "../../fixtures/setup");

/** What a case is about beyond the files that are there. */
const OVER: Readonly<Record<string, (home: SetupHome) => Partial<Target>>> = {
  "codex/default": () => ({ isDefault: true }),
  "codex/builtin": () => ({ hasKey: false }),
  "codex/builtin-default": () => ({ hasKey: false, isDefault: true }),
  "open-webui/empty": (home) => ({ envFile: join(home.path, "webui/.env") }),
  "open-webui/existing": (home) => ({ envFile: join(home.path, "webui/.env") }),
  "open-webui/commented": (home) => ({ envFile: join(home.path, "webui/.env") }),
};

let home: SetupHome;
beforeEach(() => {
  setSystemTime(new Date("2026-11-21T10:00:00Z"));
  home = new SetupHome();
});
afterEach(() => {
  setSystemTime();
  home.remove();
});

const cases = readdirSync(CASES).flatMap((client) =>
  readdirSync(join(CASES, client)).map((situation) => [client, situation] as const),
);

test("every client that has files of its own has golden ones", () => {
  const withoutFiles = ["shelley", "env", "claude-desktop", "cursor"];
  const wanted = Object.keys(CLIENTS).filter((client) => !withoutFiles.includes(client));
  expect([...new Set(cases.map(([client]) => client))].toSorted()).toEqual(wanted.toSorted());
  for (const client of wanted) {
    const situations = cases.filter(([each]) => each === client).map(([, situation]) => situation);
    expect(situations).toContain("existing");
    expect(situations).toContain("commented");
  }
});

describe.each(cases)("%s, %s", (client, situation) => {
  const folder = join(CASES, client, situation);
  const way: Way = situation.startsWith("builtin") ? "planAsBuiltin" : "plan";
  const target = () => home.target(OVER[`${client}/${situation}`]?.(home) ?? {}, "relay-key");

  test("comes out as it should", async () => {
    home.write(filesOf(treeOf(join(folder, "before"))));
    await home.setup(client, target(), way);
    const after = filesOf(home.tree());
    if (process.env["UPDATE_GOLDEN"]) {
      rmSync(join(folder, "after"), { recursive: true, force: true });
      for (const [name, text] of Object.entries(after)) {
        mkdirSync(dirname(join(folder, "after", name)), { recursive: true });
        writeFileSync(join(folder, "after", name), text);
      }
    }
    expect(after).toEqual(filesOf(treeOf(join(folder, "after"))));
  });

  test("comes out the same the second time, and undo leaves no trace", async () => {
    home.write(filesOf(treeOf(join(folder, "before"))));
    const before = home.tree();
    await home.setup(client, target(), way);
    expect(await home.changes(client, target(), way)).toEqual([]);
    // With other values, twice: undo still goes back to before the first.
    await home.setup(client, { ...target(), v1: "http://127.0.0.1:9/v1", origin: "http://127.0.0.1:9" }, way);
    await home.setup(client, target(), way);
    await home.journal(client).undo(false);
    expect(home.tree()).toEqual(before);
    expect(home.stateTree()).toEqual({});
  });
});
