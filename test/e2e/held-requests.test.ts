import { expect, test } from "bun:test";

test("what was asked is not held while the model thinks", async () => {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/held-requests-process.ts`], { stderr: "inherit" });
  const lines = (await child.stdout.text()).trim().split("\n");
  expect(lines.length).toBe(24);
  for (const line of lines) expect(line).toEndWith('"held":0}');
}, 60_000);
