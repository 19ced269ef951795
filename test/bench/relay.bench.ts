/**
 * `bun run bench`: the executable beside a raw pass-through, both against a backend in a process of its own, in one run
 * and in turns. Ratios and CPU time count; wall times on a shared machine are noise. What is not reached is told, and
 * never a failure.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startAnew } from "../../src/cli/start-anew.ts";
import { toSvg } from "./plot.ts";
import { LOGIN, startBackend, startPassThrough, startRelay } from "./programs.ts";
import { toCurveTable, toJson, toTable, type Results } from "./report.ts";
import type { Bench, Curve, Figure, Row } from "./row.ts";
import { ROWS } from "./rows/index.ts";

// The benchmark's own clients are more than fetch would let out at once.
startAnew();

const HELP = `bun run bench [OPTIONS]

  --only NAMES    rows to measure, separated by commas
  --quick         a first look: one round of less
  --rounds N      rounds to take medians of (3)
  --json          results as JSON, with every round
  --svg DIR       curves as SVG files in DIR
  --binary FILE   the executable (else PLANSOCKET_BINARY, else dist/plansocket, built when missing)

Rows
${ROWS.map(({ name, about }) => `  ${name.padEnd(14)}${about}`).join("\n")}
`;

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    json: { type: "boolean", default: false },
    svg: { type: "string" },
    binary: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(HELP);
else await main();

async function main(): Promise<void> {
  const rows = chosen(flags.only);
  const rounds = Math.max(1, Number(flags.rounds ?? (flags.quick ? 1 : 3)));
  const binary = executable();
  const backend = await startBackend();
  const bench: Bench = {
    backend,
    rounds,
    isQuick: flags.quick,
    binary,
    login: LOGIN,
    relay: (more, environment) => startRelay(binary, backend.baseUrl, more, environment),
    relayAt: (baseUrl, more, environment) => startRelay(binary, baseUrl, more, environment),
    raw: () => startPassThrough(backend.baseUrl),
  };
  try {
    tell(await measure(rows, bench));
  } finally {
    await backend.stop();
  }
}

async function measure(rows: readonly Row[], bench: Bench): Promise<Results> {
  const figures: Figure[] = [];
  const curves: Curve[] = [];
  for (const row of rows) {
    process.stderr.write(`${row.name} …\n`);
    const outcome = await row.run(bench);
    figures.push(...outcome.figures);
    curves.push(...(outcome.curves ?? []));
  }
  const machine = { system: `${process.platform} ${process.arch}`, cpus: cpus().length, bun: Bun.version };
  return { machine, rounds: bench.rounds, figures, curves };
}

function tell(results: Results): void {
  if (flags.json) process.stdout.write(`${toJson(results)}\n`);
  else process.stdout.write([toTable(results.figures), ...results.curves.map(toCurveTable)].join("\n"));
  if (flags.svg === undefined) return;
  mkdirSync(flags.svg, { recursive: true });
  for (const curve of results.curves) writeFileSync(join(flags.svg, `${curve.name}.svg`), toSvg(curve));
}

function chosen(names: string | undefined): readonly Row[] {
  const wanted = names?.split(",").map((name) => name.trim()) ?? [];
  const unknown = wanted.find((name) => !ROWS.some((row) => row.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`There is no row '${unknown}'. Rows: ${ROWS.map(({ name }) => name).join(", ")}.\n`);
    process.exit(2);
  }
  return names === undefined ? ROWS : ROWS.filter(({ name }) => wanted.includes(name));
}

function executable(): string {
  const root = join(import.meta.dir, "../..");
  const binary = flags.binary ?? process.env["PLANSOCKET_BINARY"] ?? join(root, "dist/plansocket");
  if (existsSync(binary)) return binary;
  const build = Bun.spawnSync([process.execPath, "build.ts", "--out", binary], {
    cwd: root,
    stdout: "ignore",
    stderr: "inherit",
  });
  if (build.exitCode !== 0) process.exit(1);
  return binary;
}
