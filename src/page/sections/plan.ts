import type { PageState, PlanView, WindowView } from "../contract.ts";
import { el } from "../dom.ts";
import { moment, percent, span } from "../format.ts";

/** Windows of the plan as bars with countdown and pace. */
export function planSection(state: PageState): readonly Node[] {
  const { plan, login, nowMs } = state;
  if (login.isGood && login.kind === "api-key") {
    return [el("p", { class: "empty" }, "This login is an API key: it is paid by use and has no plan windows.")];
  }
  if (!plan || plan.windows.length === 0) {
    return [el("p", { class: "empty" }, "How full the plan is shows here with the first answer.")];
  }
  return [
    el("ul", { class: "windows" }, ...plan.windows.map((window) => windowRow(window, nowMs))),
    ...notes(plan),
    el("p", { class: "faint" }, `As the backend said at ${moment(plan.seenAtMs, nowMs)}.`),
  ];
}

function windowRow(window: WindowView, nowMs: number): HTMLElement {
  const used = Math.min(100, Math.max(0, window.usedPercent));
  const meter = el("div", {
    class: `bar ${levelOf(window)}`,
    role: "meter",
    "aria-label": `${window.name} used`,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.round(used),
    "aria-valuetext": `${percent(window.usedPercent)} used`,
  });
  const fill = el("span", { class: "fill" });
  fill.style.width = `${used}%`;
  meter.append(fill);
  return el(
    "li",
    {},
    el("div", { class: "row" }, el("strong", {}, window.name), el("span", {}, `${percent(window.usedPercent)} used`)),
    meter,
    el("div", { class: "row faint" }, el("span", {}, resetText(window, nowMs)), el("span", {}, window.amount ?? "")),
    el("p", { class: `pace ${levelOf(window)}` }, paceText(window, nowMs)),
  );
}

/** By color and by words: `paceText` says the same. */
function levelOf({ usedPercent, pace }: WindowView): "good" | "near" | "full" {
  if (usedPercent >= 95) return "full";
  return usedPercent >= 80 || pace?.fullAtMs !== undefined ? "near" : "good";
}

function resetText({ resetsAtMs }: WindowView, nowMs: number): string {
  if (resetsAtMs === undefined) return "";
  if (resetsAtMs <= nowMs) return "has reset since";
  return `resets ${moment(resetsAtMs, nowMs)}, in ${span(resetsAtMs - nowMs)}`;
}

function paceText({ usedPercent, pace, resetsAtMs }: WindowView, nowMs: number): string {
  if (usedPercent >= 100) return "Full: requests are refused until it resets.";
  if (!pace) return "";
  if (pace.fullAtMs === undefined) return `At this rate ${Math.round(pace.percentAtReset)}\u00a0% by then.`;
  const early = resetsAtMs === undefined ? "" : `, ${span(resetsAtMs - pace.fullAtMs)} before it resets`;
  return `At this rate full ${moment(pace.fullAtMs, nowMs)}${early}.`;
}

function notes({ credits, bankedResets = 0, isReserveOffered }: PlanView): Node[] {
  const lines = [
    ...(credits === undefined ? [] : [`Credits: ${credits}.`]),
    ...(bankedResets > 0
      ? [`Banked resets: ${bankedResets}. Use them in ChatGPT or the Codex CLI; the relay never does.`]
      : []),
    ...(isReserveOffered ? ["Luna Reserve is offered: ask for gpt-reserve, or start with --fallback reserve."] : []),
  ];
  return lines.map((line) => el("p", {}, line));
}
