/** Cases of @openai/codex-sdk, which runs the Codex CLI that it brings. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { Codex } = (await import(process.env["SUITE_MODULE"] ?? "")) as {
  Codex: new (options: object) => {
    startThread(options: object): { run(text: string): Promise<{ finalResponse: string }> };
  };
};
const base = process.env["SUITE_BASE"] ?? "";
const home = mkdtempSync(join(tmpdir(), "plansocket-suite-"));
const codex = new Codex({
  baseUrl: `${base}/v1`,
  apiKey: "any",
  env: { PATH: process.env["PATH"] ?? "", HOME: home, CODEX_HOME: home },
});

const cases: Record<string, () => Promise<void>> = {
  async "two turns of one thread"() {
    const thread = codex.startThread({
      model: process.env["SUITE_MODEL"],
      workingDirectory: home,
      skipGitRepoCheck: true,
    });
    for (const text of ["hello one", "hello two"]) {
      const { finalResponse } = await thread.run(text);
      if (!finalResponse.includes(text)) throw new Error(`answered: ${finalResponse.slice(0, 200)}`);
    }
  },
};

for (const [name, run] of Object.entries(cases)) {
  const failure = await run().then(
    () => undefined,
    (error: unknown) => String(error).slice(0, 500),
  );
  console.log(
    JSON.stringify({ case: name, ok: failure === undefined, ...(failure === undefined ? {} : { reason: failure }) }),
  );
}
