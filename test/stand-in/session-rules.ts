import { asObject, asObjects, asText } from "../../src/demo/json.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import type { StandInAccount } from "./account.ts";
import { refuse, type Refusal } from "./refusal.ts";
import type { Views } from "./views.ts";
import { REGION } from "./wordings.ts";

const RESIDENCY_HEADER = "x-openai-internal-codex-residency";

/** Workspaces pinned to a region want its name on every call; for others there is none to send (contract 0.1). */
export function refuseRegion(headers: Headers, { residency }: StandInAccount): Refusal | undefined {
  const sent = headers.get(RESIDENCY_HEADER);
  const isPinned = residency !== undefined && residency !== "" && residency !== "no_constraint";
  if (isPinned) return sent === residency ? undefined : refuse(REGION, 401);
  return sent === null ? undefined : refuse(`Unexpected residency '${sent}'`);
}

/** Cookies of the load balancer. Only these are ever sent back (contract 0.13). */
const BALANCER_COOKIES = ["__cf_bm", "_cfuvid", "cf_clearance", "__cflb", "__oailb"];

/** What replies set: two of the balancer's, and one that a client has no reason to keep. */
export const SET_COOKIES = ["__cf_bm=stand-in; Path=/; HttpOnly", "__oailb=1; Path=/", "oai-did=x; Path=/"];

/** `hasSet`: a reply has set cookies before. */
export function refuseCookies(headers: Headers, view: Views["cookies"], hasSet: boolean): Refusal | undefined {
  const names = (headers.get("cookie") ?? "")
    .split(";")
    .map((pair) => pair.split("=")[0]?.trim() ?? "")
    .filter((name) => name !== "");
  const stranger = names.find((name) => !BALANCER_COOKIES.includes(name));
  if (stranger !== undefined) return refuse(`Unexpected cookie ${stranger}`);
  if (view === "wanted" && hasSet && !names.includes("__oailb"))
    return refuse("The session's cookies are missing", 403);
  return view === "refused" && names.includes("__cf_bm") ? refuse("Unexpected cookie __cf_bm", 403) : undefined;
}

/** The opaque state of each session's turn (contract 0.14). */
export class TurnStates {
  readonly #bySession = new Map<string, string>();
  #turns = 0;

  /** Why a request's state is refused: it is of another turn, or the request, which names no turn, begins one. */
  refuse(headers: Headers, body: JsonObject): Refusal | undefined {
    const sent = headers.get("x-codex-turn-state");
    if (sent === null) return undefined;
    const isNamed = asObject(body["client_metadata"])["turn_id"] !== undefined;
    if (!isNamed && !isInsideTurn(body)) return refuse("x-codex-turn-state does not belong to this turn");
    return sent === this.#bySession.get(sessionOf(headers)) ? undefined : refuse("Unknown x-codex-turn-state");
  }

  /** Why a handshake's state is refused: it is not that of the session's turn. */
  refuseHandshake(headers: Headers): Refusal | undefined {
    const sent = headers.get("x-codex-turn-state");
    if (sent === null || sent === this.#bySession.get(sessionOf(headers))) return undefined;
    return refuse("Unknown x-codex-turn-state");
  }

  /** The state for a handshake's reply: of the turn that it brings, else of a new one. */
  ofHandshake(headers: Headers): string {
    return headers.get("x-codex-turn-state") ?? this.#begin(sessionOf(headers));
  }

  /** The state for a reply: the same within a turn, a new one with each turn. */
  next(headers: Headers, body: JsonObject): string {
    const session = sessionOf(headers);
    const known = this.#bySession.get(session);
    return known !== undefined && isInsideTurn(body) ? known : this.#begin(session);
  }

  #begin(session: string): string {
    const state = `turn-${(this.#turns += 1)}-${session}`;
    this.#bySession.set(session, state);
    return state;
  }
}

const sessionOf = (headers: Headers) => headers.get("session-id") ?? "none";

/** A turn goes on while the last item is the output of a tool. */
function isInsideTurn(body: JsonObject): boolean {
  return asText(asObjects(body["input"]).at(-1)?.["type"]).endsWith("_output");
}
