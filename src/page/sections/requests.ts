import type { RequestView } from "../contract.ts";
import { codeLine, el } from "../dom.ts";
import { clock, duration, grouped, short } from "../format.ts";

const MOST_ROWS = 50;
const HEAD = ["Time", "Client", "Model", "Status", "First token", "Total", "Tokens in", "Out", "Notes"];

/** The last requests, newest first. Rows are added, never drawn anew: what somebody selects stays selected. */
export class RequestsTable {
  readonly #place: HTMLElement;
  readonly #base: string;
  #body: HTMLElement | undefined;

  constructor(place: HTMLElement, base: string) {
    this.#place = place;
    this.#base = base;
  }

  /** All of them, oldest first, as after a new connection. */
  replace(requests: readonly RequestView[]): void {
    this.#body = undefined;
    if (requests.length === 0) this.#place.replaceChildren(...emptyState(this.#base));
    else for (const request of requests) this.add(request);
  }

  add(request: RequestView): void {
    const body = (this.#body ??= this.#table());
    body.prepend(row(request));
    while (body.childElementCount > MOST_ROWS) body.lastElementChild?.remove();
  }

  #table(): HTMLElement {
    const body = el("tbody");
    const head = el("tr", {}, ...HEAD.map((text) => el("th", { scope: "col" }, text)));
    const region = {
      class: "scroll",
      tabindex: 0,
      role: "group",
      "aria-label": "Last requests, a table that may scroll sideways",
    };
    this.#place.replaceChildren(el("div", region, el("table", { class: "requests" }, el("thead", {}, head), body)));
    return body;
  }
}

function emptyState(base: string): Node[] {
  const body = `{"model":"gpt-5.5","input":"Say hello."}`;
  return [
    el("p", { class: "empty" }, "Nobody has asked anything since the relay was started. For example:"),
    codeLine(`curl ${base}/v1/responses -H 'content-type: application/json' -d '${body}'`, "the example"),
  ];
}

function row(request: RequestView): HTMLElement {
  const isBad = request.status >= 400 || request.code !== undefined;
  const { tokens } = request;
  return el(
    "tr",
    { class: isBad ? "bad" : "" },
    el("td", {}, el("time", { datetime: new Date(request.endedAtMs).toISOString() }, clock(request.endedAtMs, true))),
    el("td", {}, request.client || "–"),
    el("td", {}, ...modelCell(request)),
    el("td", {}, statusText(request)),
    el("td", { class: "number" }, duration(request.firstTokenMs)),
    el("td", { class: "number" }, duration(request.totalMs)),
    el("td", { class: "number" }, ...(tokens ? inputCell(tokens) : ["–"])),
    el("td", { class: "number" }, tokens ? short(tokens.output) : "–"),
    el("td", { class: "notes" }, ...notesOf(request).map((line) => el("p", {}, line))),
  );
}

function modelCell({ asked, model, effort, route }: RequestView): (Node | string)[] {
  if (model === undefined) return [el("span", { class: "faint" }, route)];
  const name = asked === undefined || asked === model ? model : `${asked} → ${model}`;
  return [name, ...(effort === undefined ? [] : [" ", el("span", { class: "faint" }, effort)])];
}

function statusText({ status, code, hasClientLeft }: RequestView): string {
  if (hasClientLeft) return "client left";
  return code === undefined ? String(status) : `${status} ${code}`;
}

function inputCell({ input, cached }: NonNullable<RequestView["tokens"]>): (Node | string)[] {
  const share = input > 0 ? Math.floor((100 * cached) / input) : 0;
  const title = `${grouped(cached)} of ${grouped(input)} from the prompt cache`;
  return [short(input), " ", el("span", { class: "faint", title }, `${share}\u00a0% cached`)];
}

function notesOf({ fix, adjusted, fallback, changedAt }: RequestView): string[] {
  return [
    ...(fix === undefined ? [] : [fix]),
    ...(fallback === undefined ? [] : [`Answered by the fallback: ${fallback}.`]),
    ...(changedAt === undefined ? [] : [`Prompt cache lost at ${changedAt}.`]),
    ...(adjusted.length === 0 ? [] : [`Adjusted: ${adjusted.join(", ")}.`]),
  ];
}
