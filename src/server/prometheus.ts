/** Text exposition format 0.0.4, which every Prometheus reads. */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

/** One value under its labels. */
export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

/** What follows one label's value: the next label's values. The last one's has the number. */
interface Branch {
  readonly next: Map<string, Branch>;
  value: number;
}

/** A number for each combination of labels. Names and values of labels must come from a closed or bounded set. */
export class Counter {
  readonly #labelNames: readonly string[];
  /** Found label by label, so that counting makes no text. */
  readonly #root: Branch = { next: new Map(), value: 0 };
  /** In the order in which they were first counted. */
  readonly #series: { readonly values: readonly string[]; readonly branch: Branch }[] = [];

  constructor(...labelNames: readonly string[]) {
    this.#labelNames = labelNames;
  }

  /** `values` in the order of the names, one for each. */
  add(amount: number, ...values: readonly string[]): void {
    let branch = this.#root;
    let isNew = false;
    for (const value of values) {
      let next = branch.next.get(value);
      if (!next) {
        isNew = true;
        next = { next: new Map(), value: 0 };
        branch.next.set(value, next);
      }
      branch = next;
    }
    if (isNew) this.#series.push({ values, branch });
    branch.value += amount;
  }

  samples(): Sample[] {
    return this.#series.map(({ values, branch }) => ({ labels: this.#labels(values), value: branch.value }));
  }

  #labels(values: readonly string[]): Labels {
    return Object.fromEntries(this.#labelNames.map((name, index) => [name, values[index] ?? ""]));
  }
}

/** How many observations fell below each bound, under one label. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #labelName: string;
  readonly #series = new Map<string, { readonly counts: Float64Array; sum: number }>();

  /** `bounds` ascending, in the unit of the metric. */
  constructor(bounds: readonly number[], labelName: string) {
    this.#bounds = bounds;
    this.#labelName = labelName;
  }

  observe(value: number, label: string): void {
    let series = this.#series.get(label);
    if (!series) this.#series.set(label, (series = { counts: new Float64Array(this.#bounds.length + 1), sum: 0 }));
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    const index = bucket < 0 ? this.#bounds.length : bucket;
    series.counts[index] = (series.counts[index] ?? 0) + 1;
    series.sum += value;
  }

  toText(name: string, help: string): string {
    let text = head(name, help, "histogram");
    for (const [label, { counts, sum }] of this.#series) {
      const own = { [this.#labelName]: label };
      let total = 0;
      counts.forEach((count, index) => {
        total += count;
        const bound = this.#bounds[index];
        text += line(`${name}_bucket`, { ...own, le: bound === undefined ? "+Inf" : String(bound) }, total);
      });
      text += line(`${name}_sum`, own, sum) + line(`${name}_count`, own, total);
    }
    return text;
  }
}

/** One metric with its samples; nothing when there are none. */
export function metricText(
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: readonly Sample[] | number,
): string {
  const all = typeof samples === "number" ? [{ value: samples }] : samples;
  if (all.length === 0) return "";
  return head(name, help, type) + all.map((sample) => line(name, sample.labels ?? {}, sample.value)).join("");
}

function head(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}\n`;
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
