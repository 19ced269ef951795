import type { ResponseMemory, ResponseStore, StoredTurn } from "../../codex/response-store.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import type { SharedResponses } from "../shared-responses.ts";
import type { PublicApi } from "./public-api.ts";
import { wholeReply } from "./whole-reply.ts";
import { decode, parametersOf, pathOf, withAlias, type Handler, type Route } from "./routes.ts";

/** A question about one response that the relay may remember. */
interface StoredQuery {
  /** Deletes it for all replicas; undefined for a relay of its own. */
  readonly forgetShared: (() => Promise<boolean>) | undefined;
  /** Of the client that asks. */
  readonly store: ResponseMemory;
  readonly id: string;
  /** Of the request, for its query. */
  readonly url: string;
  readonly nowMs: number;
}

const USUAL_ITEMS = 20;
const MOST_ITEMS = 100;

/** Where responses are remembered. */
export interface Memories {
  readonly responses: ResponseStore;
  readonly shared?: SharedResponses | undefined;
}

/** What the relay itself remembers: the backend stores nothing. */
export function storedRoutes({ responses: store, shared }: Memories, publicApi: PublicApi, now: () => number): Route[] {
  const stored =
    (answer: (query: StoredQuery) => object | Promise<object>): Handler =>
    async (admitted) => {
      const { url } = admitted.request;
      const path = pathOf(url);
      if (await publicApi.isLogin()) return publicApi.forward(admitted, path);
      const id = decode(/responses\/([^/]+)/.exec(path)?.[1] ?? "");
      const clientId = admitted.caller.key?.id ?? "";
      await shared?.bring(clientId, { previous_response_id: id });
      const forgetShared = shared && (() => shared.forget(clientId, id));
      const query = { store: store.ofClient(clientId), forgetShared, id, url, nowMs: now() };
      return wholeReply(await answer(query), {}, admitted.lifetime);
    };
  const routes = {
    "/v1/responses/:id": { GET: stored(oneResponse), DELETE: stored(forgetResponse) },
    "/v1/responses/:id/input_items": { GET: stored(itemsOfResponse) },
    "/v1/responses/:id/cancel": { POST: stored(refuseCancel) },
  };
  return Object.entries(routes).flatMap(([path, methods]) =>
    withAlias(path).map((alias) => ({ path: alias, isOpen: false, methods })),
  );
}

/** GET /v1/responses/{id}. */
function oneResponse(query: StoredQuery): object {
  return find(query).response;
}

/** DELETE /v1/responses/{id}. */
async function forgetResponse(query: StoredQuery): Promise<object> {
  const isGone = query.forgetShared ? await query.forgetShared() : query.store.forget(query.id);
  if (!isGone) throw notFound(query.id);
  return { id: query.id, object: "response", deleted: true };
}

/** POST /v1/responses/{id}/cancel: nothing runs in the background, so there is nothing to cancel. */
function refuseCancel(query: StoredQuery): never {
  find(query);
  throw new RelayError("invalid_request", "Only background responses can be cancelled, and the relay runs none.");
}

/** GET /v1/responses/{id}/input_items: a page of what the response answered, newest first unless asked otherwise. */
function itemsOfResponse(query: StoredQuery): object {
  const { store, id, nowMs } = query;
  const parameters = parametersOf(query.url);
  const turn = find(query);
  const earlier = turn.previousId === undefined ? [] : (store.conversation(turn.previousId, nowMs)?.value() ?? []);
  const items = [...earlier, ...turn.input].map((item, index) => withId(item, id, index));
  if (parameters.get("order") !== "asc") items.reverse();
  const after = parameters.get("after");
  const start = after === null ? 0 : items.findIndex((item) => item["id"] === after) + 1;
  const data = items.slice(start, start + limitOf(parameters));
  return {
    object: "list",
    data,
    first_id: data[0]?.["id"] ?? null,
    last_id: data.at(-1)?.["id"] ?? null,
    has_more: start + data.length < items.length,
  };
}

function find({ store, id, nowMs }: StoredQuery): StoredTurn {
  const turn = store.get(id, nowMs);
  if (!turn) throw notFound(id);
  return turn;
}

function notFound(id: string): RelayError {
  return new RelayError("not_found", `No response found with id '${id.slice(0, 100)}'.`);
}

/** Clients page by ids, which their own items lack. */
function withId(item: InputItem, responseId: string, index: number): InputItem {
  return typeof item["id"] === "string" ? item : { ...item, id: `item_${responseId.replace(/^resp_/, "")}_${index}` };
}

function limitOf(parameters: URLSearchParams): number {
  const limit = Number(parameters.get("limit") ?? USUAL_ITEMS);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MOST_ITEMS) return limit;
  throw new RelayError("invalid_value", `Invalid 'limit': expected a whole number from 1 to ${MOST_ITEMS}.`, {
    param: "limit",
  });
}
