import { expect, test } from "bun:test";
import { CLIENTS } from "../../src/cli/setup/index.ts";

test("the status page has a tile for every client of setup, and no other", async () => {
  // The page's code is for browsers, so it is read and not loaded.
  const source = await Bun.file(new URL("../../src/page/sections/connect.ts", import.meta.url)).text();
  const names = [...source.matchAll(/^ {2}\["([\w-]+)", "/gm)].map(([, name = ""]) => name);
  expect(names.toSorted()).toEqual(Object.keys(CLIENTS).toSorted());
});
