import { readUsage, Refused } from "../api.ts";
import type { Amounts, UsageView } from "../contract.ts";
import { byId, el, svg } from "../dom.ts";
import { clock, day, grouped, short } from "../format.ts";

type Measure = "tokens" | "requests";

/** Groups that get a color of their own; the rest is drawn as one. */
const MOST_GROUPS = 6;
const [WIDTH, HEIGHT] = [720, 180];

/** Tokens or requests over time, by model or client. */
export class UsageChart {
  readonly #place: HTMLElement;

  constructor(place: HTMLElement) {
    this.#place = place;
    for (const id of ["usage-by", "usage-days", "usage-measure"]) {
      byId(id).addEventListener("change", () => void this.refresh());
    }
  }

  async refresh(): Promise<void> {
    try {
      const usage = await readUsage(chosen("usage-by"), Number(chosen("usage-days")));
      this.#place.replaceChildren(...drawing(usage, chosen("usage-measure") === "requests" ? "requests" : "tokens"));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#place.replaceChildren(el("p", { class: "status bad" }, error.message));
    }
  }
}

function chosen(id: string): string {
  const element = byId(id);
  return element instanceof HTMLSelectElement ? element.value : "";
}

function amount(amounts: Amounts, measure: Measure): number {
  return measure === "requests" ? amounts.requests : amounts.input + amounts.output;
}

function drawing(usage: UsageView, measure: Measure): Node[] {
  const sorted = usage.totals.toSorted((a, b) => amount(b, measure) - amount(a, measure));
  if (sorted.length === 0) {
    return [el("p", { class: "empty" }, "Nothing was counted in this time. Each answer adds to it.")];
  }
  const names = sorted.slice(0, MOST_GROUPS).map(({ name }) => name);
  return [chart(usage, names, measure), totalsTable(usage, sorted, names)];
}

/** Stacked bars with a scale. A picture for the eye: the table below says the same in numbers. */
function chart(usage: UsageView, names: readonly string[], measure: Measure): HTMLElement {
  const sums = usage.buckets.map(({ groups }) => groups.reduce((sum, group) => sum + amount(group, measure), 0));
  const top = Math.max(1, ...sums);
  const step = WIDTH / Math.max(1, usage.buckets.length);
  const bars = usage.buckets.flatMap(({ startMs, groups }, index) => {
    let y = HEIGHT;
    const parts = [...names, undefined].map((name, rank) => {
      const own = groups.filter((group) => (name === undefined ? !names.includes(group.name) : group.name === name));
      const height = (own.reduce((sum, group) => sum + amount(group, measure), 0) / top) * HEIGHT;
      y -= height;
      const place = { x: index * step + step * 0.1, y, width: step * 0.8, height };
      return height > 0 ? svg("rect", { ...place, class: `group-${rank}` }) : undefined;
    });
    const title = `${bucketName(startMs, usage.unit)}: ${grouped(sums[index] ?? 0)} ${measure}`;
    return [svg("g", {}, svg("title", {}, title), ...parts)];
  });
  const first = usage.buckets[0]?.startMs;
  const last = usage.buckets.at(-1)?.startMs;
  return el(
    "figure",
    { class: "chart" },
    el("div", { class: "scale faint", "aria-hidden": "true" }, el("span", {}, short(top)), el("span", {}, "0")),
    svgPicture(bars, `${measure} over time, stacked; the table below has the numbers`),
    el(
      "figcaption",
      { class: "row faint" },
      el("span", {}, first === undefined ? "" : bucketName(first, usage.unit)),
      el("span", {}, last === undefined ? "" : bucketName(last, usage.unit)),
    ),
  );
}

function svgPicture(children: readonly SVGElement[], label: string): HTMLElement {
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    ...children,
  );
  const holder = el("div", { class: "plot" });
  holder.append(picture);
  return holder;
}

function bucketName(startMs: number, unit: "hour" | "day"): string {
  return unit === "day" ? day(startMs) : `${day(startMs)}, ${clock(startMs)}`;
}

function totalsTable(usage: UsageView, sorted: UsageView["totals"], names: readonly string[]): HTMLElement {
  const head = ["", "Requests", "Errors", "Input", "Cached", "Output", "Reasoning"];
  const columns = usage.hasPrices ? [...head, "List price"] : head;
  const rows = sorted.map((total) => {
    const rank = names.indexOf(total.name);
    const share = total.input > 0 ? `${Math.floor((100 * total.cached) / total.input)}\u00a0%` : "–";
    const cells = [
      grouped(total.requests),
      grouped(total.errors),
      short(total.input),
      share,
      short(total.output),
      short(total.reasoning),
      ...(usage.hasPrices ? [total.price === undefined ? "–" : total.price.toFixed(2)] : []),
    ];
    const swatch = el("span", { class: `swatch group-${rank < 0 ? MOST_GROUPS : rank}`, "aria-hidden": "true" });
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, swatch, total.name),
      ...cells.map((text) => el("td", { class: "number" }, text)),
    );
  });
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": "Totals, a table that may scroll sideways" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text || hidden("Name"))))),
      el("tbody", {}, ...rows),
    ),
    ...(usage.hasPrices ? [el("p", { class: "faint" }, "List price by your own numbers; not a bill.")] : []),
  );
}

function hidden(text: string): HTMLElement {
  return el("span", { class: "offscreen" }, text);
}
