/**
 * `bun test/suites/run.ts [WORD …] [--only NAME,NAME] [--list] [--record]`: other people's SDKs and suites, each by its pinned
 * version from its own registry, against a relay and the strict stand-in backend, and against `demo`. Prints a table;
 * exits with 1 when a case fails that is the relay's, with 2 when asked for what there is not. A suite whose language
 * is not installed is skipped, and says so.
 */
import { startPlayer } from "../../src/demo/player.ts";
import { record, tableLines, type Finding } from "../support/compatibility.ts";
import { startDemoRelay } from "../support/demo.ts";
import { fixedCredentials, startTestRelay } from "../support/relay.ts";
import { readOptions, USAGE } from "./options.ts";
import { missingFor, outcomes, prepared } from "./packages.ts";
import type { Suite } from "./suites.ts";
import { tallied, type Tally } from "./tally.ts";

const MODEL = "gpt-5.5";
const options = optionsOrExit();
if (options.isList) {
  for (const { name } of options.suites) console.log(name);
  process.exit(0);
}

// Before anything listens: installers hold this process up for as long as they take.
const plans = options.suites.map((suite) => ({ suite, plan: planOf(suite) }));

// Models that tests name which cannot be told another.
const relay = { modelAliases: { "gpt-3.5-turbo-instruct": MODEL, model_id: MODEL } };
const strict = startDemoRelay({ relay });
const player = startPlayer({ port: 0, paceMs: 0 });
const { settings, tokens } = player.services;
const demo = startTestRelay({
  baseUrl: settings.baseUrl,
  relay,
  credentials: fixedCredentials({
    accessToken: tokens["OPENAI_ACCESS_TOKEN"] ?? "",
    accountId: tokens["OPENAI_CHATGPT_ACCOUNT_ID"] ?? "",
  }),
});

const total = { run: 0, skipped: 0, failures: 0 };
const columns = ["suite", "version", "stand-in", "demo", "the relay's", "the suite's"];
const findings: Finding[] = [];
for (const { suite, plan } of plans) {
  if (typeof plan === "string") {
    total.skipped += 1;
    console.log(`skipped: ${suite.name}: ${plan.replaceAll("\n", " ")}`);
    continue;
  }
  total.run += 1;
  const places = [
    { place: "stand-in", tally: tallied(suite, await outcomes(plan, strict.relay.url, MODEL)) },
    { place: "demo", tally: tallied(suite, await outcomes(plan, demo.url, MODEL)) },
  ];
  const passed = places.map(({ tally }) => `${tally.passed} / ${tally.applicable}`);
  const relays = places.map(({ tally }) => tally.relay.length);
  total.failures += relays.reduce((sum, count) => sum + count, 0);
  const suites = places.map(({ tally }) => suiteCount(tally));
  findings.push({
    name: suite.name,
    cells: [suite.packages[0]?.[1] ?? "", ...passed, both(relays), both(suites)],
    remarks: [...new Set(places.flatMap(({ place, tally }) => remarksOf(place, tally)))],
  });
}
console.log(tableLines(columns, findings).join("\n"));
if (options.isRecording) record("suites", columns, findings, new Date());
const refusals = new Set(strict.backend.refusals.map(({ detail }) => detail));
console.log(`\nThe stand-in refused ${strict.backend.refusals.length} requests${refusals.size === 0 ? "." : ":"}`);
for (const detail of refusals) console.log(`  ${detail}`);
console.log(`${total.run} suites run, ${total.skipped} skipped, ${total.failures} failures of the relay's`);
await Promise.all([strict.stop(), demo.stop()]);
await player.stop();
process.exit(total.failures === 0 ? 0 : 1);

function optionsOrExit() {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}

/** The command of a suite, or why there is none. */
function planOf(suite: Suite): readonly string[] | string {
  const missing = missingFor(suite);
  if (missing !== undefined) return missing;
  try {
    return prepared(suite);
  } catch (error) {
    return `cannot be got: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Failures that are the suite's own. */
function suiteCount({ excused }: Tally): number {
  const own = [...excused].filter(([{ isOutOfScope }]) => isOutOfScope !== true);
  return own.reduce((sum, [, count]) => sum + count, 0);
}

/** One number where both backends agree. */
function both([first = 0, second = 0]: readonly number[]): string {
  return first === second ? String(first) : `${first} and ${second}`;
}

/** Known reasons are those of a suite, whatever it met. */
function remarksOf(place: string, { relay, excused }: Tally): string[] {
  return [
    ...relay.map(
      (outcome) => `the relay's, ${place}: ${outcome.case}: ${(outcome.reason ?? "").replaceAll(/\s+/g, " ")}`,
    ),
    ...[...excused].map(([{ reason, isOutOfScope }, count]) => {
      return `${isOutOfScope === true ? "not applicable" : "the suite's"}, ${count}: ${reason}`;
    }),
  ];
}
