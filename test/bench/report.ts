import type { Curve, Figure } from "./row.ts";
import { median, ratio } from "./statistics.ts";

/** Everything that one run measured. */
export interface Results {
  readonly machine: { readonly system: string; readonly cpus: number; readonly bun: string };
  readonly rounds: number;
  readonly figures: readonly Figure[];
  readonly curves: readonly Curve[];
}

/** For machines: every round of every figure, with medians and ratio. */
export function toJson({ machine, rounds, figures, curves }: Results): string {
  const rows = figures.map(({ label, unit, relay, raw, goal }) => ({
    label,
    unit,
    relay: median(relay),
    raw: median(raw),
    ratio: ratio(relay, raw),
    rounds: { relay, raw },
    ...(goal ? { goal: goal.text, isReached: goal.isReached(median(relay), ratio(relay, raw)) } : {}),
  }));
  return JSON.stringify({ machine, rounds, figures: rows, curves }, undefined, 2);
}

/** For people: medians beside the pass-through's, and what is to be reached. */
export function toTable(figures: readonly Figure[]): string {
  const lines = figures.map((figure) => [
    figure.unit === "" ? figure.label : `${figure.label}, ${figure.unit}`,
    shown(median(figure.relay), figure.digits),
    shown(median(figure.raw), figure.digits),
    `${shown(ratio(figure.relay, figure.raw), 2)} ×`,
    goalOf(figure),
  ]);
  return aligned([["", "relay", "raw", "ratio", "goal"], ...lines]);
}

/** Curves as columns. */
export function toCurveTable(curve: Curve): string {
  const lines = curve.points.map(({ x, relay, raw }) => [shown(x, 0), shown(relay, 2), shown(raw, 2)]);
  return `${curve.y}\n${aligned([[curve.x, "relay", "raw"], ...lines])}`;
}

function goalOf({ goal, relay, raw }: Figure): string {
  if (!goal) return "";
  return `${goal.text}${goal.isReached(median(relay), ratio(relay, raw)) ? "" : "  not reached"}`;
}

function shown(value: number, digits: number): string {
  if (Number.isNaN(value)) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The first column to the left, numbers to the right, and words after them to the left again. */
function aligned(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const cell = (text: string, column: number) => {
    const width = widths[column] ?? 0;
    return column === 0 || column > 3 ? text.padEnd(width) : text.padStart(width);
  };
  return lines.map((line) => `${line.map(cell).join("  ").trimEnd()}\n`).join("");
}
