import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { otherProgramsOnPath } from "../../../src/cli/doctor/other-programs.ts";

const root = mkdtempSync(join(tmpdir(), "plansocket-path-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("other programs named plansocket on PATH are found; links to this one and plain files are not", () => {
  for (const folder of ["own", "other", "link", "plain"]) mkdirSync(join(root, folder));
  const own = join(root, "own/plansocket");
  const other = join(root, "other/plansocket");
  writeFileSync(own, "", { mode: 0o755 });
  writeFileSync(other, "", { mode: 0o755 });
  writeFileSync(join(root, "plain/plansocket"), "", { mode: 0o644 });
  symlinkSync(own, join(root, "link/plansocket"));
  const path = ["link", "plain", "other", "own", "other", "missing"].map((folder) => join(root, folder)).join(":");
  const found = otherProgramsOnPath({ PATH: path }, own);
  expect(found).toHaveLength(1);
  expect(found[0]).toEndWith("/other/plansocket");
});
