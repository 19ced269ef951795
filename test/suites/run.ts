/**
 * `bun test/suites/run.ts [NAME …]`: other people's SDKs, each by its pinned version from its own registry, with cases
 * of their documented use against a relay and the strict stand-in backend, and against `demo`. Prints a table; exits
 * with 1 when a case fails. A suite whose language is not installed is skipped, and says so.
 */
import { startPlayer } from "../../src/demo/player.ts";
import { fixedCredentials, startTestRelay } from "../support/relay.ts";
import { startDemoRelay } from "../support/demo.ts";
import { missingFor, outcomes, prepared, SUITES, type Suite } from "./suites.ts";

const MODEL = "gpt-5.5";
const wanted = process.argv.slice(2);

const chosen = SUITES.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
const unprepared = new Map<Suite, string>();
// Before anything listens: installers hold this process up for as long as they take.
for (const suite of chosen) {
  if (missingFor(suite) !== undefined) continue;
  try {
    prepared(suite);
  } catch (error) {
    unprepared.set(suite, String(error));
  }
}

const strict = startDemoRelay();
const player = startPlayer({ port: 0, paceMs: 0 });
const { settings, tokens } = player.services;
const demo = startTestRelay({
  baseUrl: settings.baseUrl,
  credentials: fixedCredentials({
    accessToken: tokens["OPENAI_ACCESS_TOKEN"] ?? "",
    accountId: tokens["OPENAI_CHATGPT_ACCOUNT_ID"] ?? "",
  }),
});

let failures = 0;
console.log(`${"suite".padEnd(40)} ${"version".padEnd(10)} ${"stand-in".padStart(10)} ${"demo".padStart(10)}`);
for (const suite of chosen) {
  const missing = missingFor(suite) ?? unprepared.get(suite);
  const version = suite.packages[0]?.[1] ?? "";
  if (missing !== undefined) {
    console.log(`${suite.name.padEnd(40)} ${version.padEnd(10)} skipped: ${missing}`);
    continue;
  }
  const columns: string[] = [];
  const reasons: string[] = [];
  for (const [place, base] of [
    ["stand-in", strict.relay.url],
    ["demo", demo.url],
  ] as const) {
    const all = await outcomes(suite, base, MODEL);
    const failed = all.filter(({ ok }) => !ok);
    failures += failed.length;
    columns.push(`${all.length - failed.length}/${all.length}`.padStart(10));
    for (const { case: name, reason } of failed) reasons.push(`    ${place}: ${name}: ${reason ?? ""}`);
  }
  console.log(`${suite.name.padEnd(40)} ${version.padEnd(10)} ${columns.join(" ")}`);
  for (const reason of reasons) console.log(reason);
}
const { refusals } = strict.backend;
console.log(
  `The stand-in refused ${refusals.length} requests${
    refusals.length === 0
      ? "."
      : `: ${refusals
          .map(({ detail }) => detail)
          .slice(0, 5)
          .join("; ")}`
  }`,
);
await Promise.all([strict.stop(), demo.stop()]);
await player.stop();
process.exit(failures === 0 ? 0 : 1);
