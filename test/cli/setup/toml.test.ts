import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseToml } from "../../../src/cli/setup/formats/toml-text.ts";
import { SetupHome } from "../../support/setup.ts";

const CONFIG = ".codex/config.toml";

let home: SetupHome;
beforeEach(() => void (home = new SetupHome()));
afterEach(() => home.remove());

const read = () => readFileSync(join(home.path, CONFIG), "utf8");

/** What TOML has and JSON has not. */
const VALUES = `since = 2025-02-03T04:05:06Z
offset = 1979-05-27T00:32:00.999999-07:00
spaced = 1979-05-27 07:32:00
day = 2025-02-03
at = 04:05:06
limit = inf
gap = -nan
mask = 0xFF
big = 9_007_199_254_740_993
most = 9223372036854775807 # 64 bits
least = -9223372036854775808
bits = 0x7FFF_FFFF_FFFF_FFFF
9007199254740993 = "a key"
mix = [1, "b", {c = 2.5}, 9_007_199_254_740_993, [
  04:05:06, # a comment ] "
]]
text = """
[not a table]
big = 9007199254740993 \\"""
"""
`;

const PLACES: [place: string, text: string][] = [
  ["at the top", VALUES],
  ["in a table", `file_opener = "none"\n\n[notes]\n${VALUES}`],
  ["in an array of tables", `[[notes]]\n${VALUES}\n[[notes]]\n${VALUES}`],
  ["in another provider", `[model_providers.other]\nname = "o"\n${VALUES}\n[after]\na = 1\n`],
  ["with CRLF", VALUES.replaceAll("\n", "\r\n")],
];

test.each(PLACES)(
  "values of Codex's config.toml that JSON does not know stay as they are: %s (BigPizzaV3/CodexPlusPlus#1432)",
  async (_place, text) => {
    for (const options of [{}, { isDefault: true }]) {
      home.write({ [CONFIG]: text });
      await home.setup("codex", home.target(options));
      const lines = read().split(/\r?\n/);
      expect(lines).toContain("[model_providers.plansocket]");
      expect(lines).toEqual(expect.arrayContaining(text.split(/\r?\n/)));
      await home.journal("codex").undo(false);
      expect(read()).toBe(text);
    }
  },
);

test("values that were added since setup stay when it is undone", async () => {
  home.write({ [CONFIG]: "a = 1\n" });
  await home.setup("codex");
  writeFileSync(join(home.path, CONFIG), `${VALUES}${read()}`);
  await home.journal("codex").undo(false);
  expect(read()).toBe(`${VALUES}a = 1\n`);
});

test("two large integers are not taken for the same", () => {
  expect(parseToml("a = 9007199254740993")).not.toEqual(parseToml("a = 9007199254740992"));
});

test.each(["a = 9223372036854775808", "a = 0xFFFFFFFFFFFFFFFF", "a = 1_", "a = 2025-13-01"])(
  "%s is no TOML",
  (text) => {
    expect(() => parseToml(text)).toThrow();
  },
);
