/** Cases of @openai/codex-sdk, which runs the Codex CLI that it brings. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Codex } from "@openai/codex-sdk";
import { BASE, check, MODEL, run } from "./harness.mjs";

const home = mkdtempSync(join(tmpdir(), "plansocket-suite-"));
const codex = new Codex({
  baseUrl: `${BASE}/v1`,
  apiKey: "any",
  env: { PATH: process.env["PATH"] ?? "", HOME: home, CODEX_HOME: home },
});

await run({
  async "two turns of one thread"() {
    const thread = codex.startThread({ model: MODEL, workingDirectory: home, skipGitRepoCheck: true });
    for (const text of ["hello one", "hello two"]) {
      const { finalResponse } = await thread.run(text);
      check(finalResponse.includes(text), `answered: ${finalResponse.slice(0, 200)}`);
    }
  },
});
