import { KeyNeeded, readState, Refused, signIn } from "./api.ts";
import type { LiveEvents, PageState } from "./contract.ts";
import { byId, say } from "./dom.ts";
import { span } from "./format.ts";
import { connectSection } from "./sections/connect.ts";
import { loginSection } from "./sections/login.ts";
import { modelsSection } from "./sections/models.ts";
import { planSection } from "./sections/plan.ts";
import { RequestsTable } from "./sections/requests.ts";
import { TryBox } from "./sections/try.ts";
import { UsageChart } from "./sections/usage.ts";

/** Countdowns and what only the relay knows are this old at most. */
const REFRESH_MS = 15_000;

/** Where this page is, without the slash at its end: the relay may stand behind a path of a reverse proxy. */
const BASE = new URL(".", location.href).href.replace(/\/$/, "");

const requests = new RequestsTable(byId("requests"), BASE);
const tryBox = new TryBox(BASE);
const chart = new UsageChart(byId("usage"));
/** What each section shows, so that one is drawn anew only when that has changed. */
const shown = new Map<string, string>();
let live: EventSource | undefined;

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  void submitKey();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void refresh();
});
setInterval(() => {
  if (!document.hidden) void refresh();
}, REFRESH_MS);
void refresh();

async function refresh(): Promise<void> {
  try {
    const state = await readState();
    show(state);
    if (!live) {
      connect();
      if (state.hasLedger) await chart.refresh();
    }
  } catch (error) {
    if (error instanceof KeyNeeded) askForKey();
    else lost(error instanceof Refused ? error.message : undefined);
  }
}

function show(state: PageState): void {
  byId("key").hidden = true;
  byId("content").hidden = false;
  byId("lost").hidden = true;
  byId("version").textContent = `${state.version}, up ${span(state.nowMs - state.startedAtMs)}`;
  byId("usage-part").hidden = !state.hasLedger;
  const { requests: count, errors, inFlight } = state.counts;
  byId("counts").textContent = `${count} since it was started, ${errors} with errors, ${inFlight} under way`;
  draw("plan", state, [state.plan, state.login, Math.floor(state.nowMs / 60_000)], planSection);
  draw("login", state, [state.login, Math.floor(state.nowMs / 60_000)], loginSection);
  draw("connect", state, [state.isKeyRequired], (current) => connectSection(current, BASE));
  draw("models", state, [state.models, state.isModelListOld], modelsSection);
  tryBox.update(state);
}

function draw(id: string, state: PageState, facts: unknown, section: (state: PageState) => readonly Node[]): void {
  const text = JSON.stringify(facts);
  if (shown.get(id) === text) return;
  shown.set(id, text);
  byId(id).replaceChildren(...section(state));
}

/** Requests as they end. The browser connects again by itself, and then gets the list anew. */
function connect(): void {
  live = new EventSource("page/live");
  listen(live, "requests", (list) => requests.replace(list));
  listen(live, "request", (request) => requests.add(request));
  live.addEventListener("open", () => (byId("lost").hidden = true));
  live.addEventListener("error", () => lost(undefined));
}

function listen<Name extends keyof LiveEvents>(
  source: EventSource,
  name: Name,
  take: (value: LiveEvents[Name]) => void,
): void {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the relay made it from the same type
  source.addEventListener(name, (event) => take(JSON.parse(String(event.data)) as LiveEvents[Name]));
}

function lost(reason: string | undefined): void {
  const place = byId("lost");
  const text = reason ?? "The relay does not answer. Start it with `plansocket start`; this page goes on by itself.";
  place.textContent = text;
  if (place.hidden) say(text);
  place.hidden = false;
}

function askForKey(): void {
  live?.close();
  live = undefined;
  byId("content").hidden = true;
  byId("key").hidden = false;
  byId("key-input").focus();
}

async function submitKey(): Promise<void> {
  const input = byId("key-input");
  const place = byId("key-error");
  if (!(input instanceof HTMLInputElement)) return;
  try {
    await signIn(input.value);
    input.value = "";
    place.textContent = "";
    await refresh();
  } catch (error) {
    place.textContent = error instanceof Refused ? error.message : "The relay does not answer.";
    input.focus();
  }
}
