import type { AnswerEvent } from "../../codex/output/events.ts";
import type { OutputItem } from "../../codex/wire/schema.ts";
import { objectsOf } from "../../codex/wire/lenient.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Citation, WebSearchResult } from "./blocks.ts";

/** A hosted search that is over. */
export interface Search {
  readonly id: string;
  readonly query: string | undefined;
  readonly results: WebSearchResult[];
}

/** Undefined for steps that are no search, such as opening a page: this API has nothing to show them with. */
export function searchOf(item: OutputItem, index: number): Search | undefined {
  const action = item["action"];
  if (!isObject(action) || action["type"] !== "search") return undefined;
  const queries = Array.isArray(action["queries"]) ? (action["queries"] as unknown[]) : [];
  const name = (item.id ?? "").replace(/^ws_/, "").replace(/[^A-Za-z0-9_-]/g, "_");
  return {
    id: `srvtoolu_${name === "" ? String(index) : name}`,
    query: nonEmptyString(action["query"]) ?? nonEmptyString(queries[0]),
    results: objectsOf(action["sources"]).flatMap(resultOf),
  };
}

/** A link to a page, as Markdown has it, maybe with a title behind the address. */
const MARKDOWN_LINK =
  /\[([^\][]{1,300})\]\(<?(https?:\/\/[^\s()<>]+(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+["'(][^"')\n]{0,300}["')])?\s*\)/g;

/** An address that stands in the text by itself. */
const BARE_LINK = /https?:\/\/[^\s<>()[\]"'`]*[^\s<>()[\]"'`.,;:!?*_]/g;

/** The pages that an answer names, for a search whose own list of them is missing: what it cites, else its links. */
export function pagesIn(answer: readonly AnswerEvent[]): WebSearchResult[] {
  const cited = answer.flatMap((event) => (event.type === "annotation" ? resultOf(event.annotation) : []));
  const text = answer.map((event) => (event.type === "textDelta" ? event.text : "")).join("");
  const linked = [...text.matchAll(MARKDOWN_LINK)].flatMap(([, title, url]) => resultOf({ title, url }));
  const bare = [...text.replace(MARKDOWN_LINK, "").matchAll(BARE_LINK)].flatMap(([url]) => resultOf({ url }));
  const pages = cited.length > 0 ? cited : [...linked, ...bare];
  return pages.filter(({ url }, index) => pages.findIndex((other) => other.url === url) === index);
}

function resultOf(source: JsonObject): WebSearchResult[] {
  const url = nonEmptyString(source["url"]);
  if (url === undefined) return [];
  const title = nonEmptyString(source["title"]) ?? url;
  // Upstream keeps what it read to itself.
  return [{ type: "web_search_result", url, title, encrypted_content: "", page_age: null }];
}

/** A link in the answer; upstream does not say which words of the page it stands for. */
export function citationOf(annotation: { readonly [key: string]: unknown }): Citation | undefined {
  const url = nonEmptyString(annotation["url"]);
  if (annotation["type"] !== "url_citation" || url === undefined) return undefined;
  const title = nonEmptyString(annotation["title"]) ?? null;
  return { type: "web_search_result_location", url, title, cited_text: "", encrypted_index: "" };
}
