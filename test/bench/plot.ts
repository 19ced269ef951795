import type { Curve } from "./row.ts";

const WIDTH = 640;
const HEIGHT = 360;
const MARGIN = { left: 64, right: 24, top: 40, bottom: 48 };
const COLOURS = { relay: "#0a6", raw: "#888" } as const;

/** Place of a value on the page. */
type Scale = (value: number) => number;

/** A curve as an SVG of its own. The x axis counts in powers of ten when the values span more than one of them. */
export function toSvg(curve: Curve): string {
  const xs = curve.points.map(({ x }) => x);
  const ys = curve.points.flatMap(({ relay, raw }) => [relay, raw]).filter((y) => !Number.isNaN(y));
  const highest = roundUp(Math.max(...ys, Number.MIN_VALUE));
  const isWide = Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) > 30;
  const onX = isWide ? Math.log10 : (value: number) => value;
  const x = scale(onX(Math.min(...xs)), onX(Math.max(...xs)), MARGIN.left, WIDTH - MARGIN.right);
  const y = scale(0, highest, HEIGHT - MARGIN.bottom, MARGIN.top);
  const at = (value: number) => x(onX(value));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(MARGIN.left, 20, curve.y, "start"),
    text(WIDTH - MARGIN.right, HEIGHT - 10, curve.x, "end"),
    ...[0, 0.25, 0.5, 0.75, 1].map((part) => gridLine(y(part * highest), short(part * highest))),
    ...xs.map((value) => text(at(value), HEIGHT - MARGIN.bottom + 18, short(value), "middle")),
    ...(["raw", "relay"] as const).flatMap((name, index) => [
      line(curve, name, at, y),
      text(WIDTH - MARGIN.right - 60 * index, 20, name, "end", COLOURS[name]),
    ]),
    "</svg>",
    "",
  ].join("\n");
}

function scale(from: number, to: number, start: number, end: number): Scale {
  const span = to - from || 1;
  return (value) => start + ((value - from) / span) * (end - start);
}

function line(curve: Curve, name: "relay" | "raw", x: Scale, y: Scale): string {
  const points = curve.points
    .filter((point) => !Number.isNaN(point[name]))
    .map((point) => `${x(point.x).toFixed(1)},${y(point[name]).toFixed(1)}`);
  return `<polyline fill="none" stroke="${COLOURS[name]}" stroke-width="2" points="${points.join(" ")}"/>`;
}

function gridLine(y: number, label: string): string {
  const rule = `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y}" y2="${y}" stroke="#ddd"/>`;
  return rule + text(MARGIN.left - 8, y + 4, label, "end");
}

function text(x: number, y: number, content: string, anchor: string, colour = "#333"): string {
  const safe = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${safe}</text>`;
}

/** To the next of 1, 2, 5 and their tenfolds. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((candidate) => candidate * power >= value) ?? 10;
  return step * power;
}

function short(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}
