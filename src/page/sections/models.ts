import type { ModelView, PageState } from "../contract.ts";
import { codeLine, el } from "../dom.ts";
import { short } from "../format.ts";

/** The account's models. */
export function modelsSection({ models, isModelListOld }: PageState): readonly Node[] {
  if (models.length === 0) {
    return [el("p", { class: "empty" }, "No model is known."), codeLine("plansocket doctor", "the command that looks")];
  }
  const head = ["Model", "Context", "Efforts", "Tiers", "Takes"];
  return [
    ...(isModelListOld
      ? [el("p", { class: "status near" }, "The account's own list could not be asked; this one may be old.")]
      : []),
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Models, a table that may scroll sideways" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...models.map(modelRow)),
      ),
    ),
  ];
}

function modelRow({ id, contextTokens, efforts, tiers, inputs }: ModelView): HTMLElement {
  const cells = [
    contextTokens === undefined ? "–" : short(contextTokens),
    efforts.join(", ") || "–",
    tiers.join(", ") || "–",
    inputs.join(", ") || "–",
  ];
  return el("tr", {}, el("th", { scope: "row" }, el("code", {}, id)), ...cells.map((text) => el("td", {}, text)));
}
