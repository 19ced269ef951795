import type { CodexEvent, OutputItem, ResponseObject } from "./schema.ts";
import type { WireEvent } from "./event.ts";
import { carriedBy } from "./event-types.ts";
import { isObject, type JsonObject, listOf } from "../../lib/json.ts";

/*
 * Events are trusted rather than validated, as most of the traffic is deltas. These are the few checks that keep an
 * event of a surprising shape from ending a reply.
 */

/** The event, or undefined when its JSON is broken or it lacks what it is about. Its `done` event says again what a lost delta said. */
export function readEvent(wire: WireEvent): CodexEvent | undefined {
  let event: CodexEvent;
  try {
    event = wire.event;
  } catch {
    return undefined;
  }
  const carried = carriedBy(event.type);
  return carried === undefined || isObject((event as JsonObject)[carried]) ? event : undefined;
}

/** The `response` of a lifecycle event; empty when there is none. */
export function responseOf(event: CodexEvent): ResponseObject {
  return "response" in event && isObject(event.response) ? event.response : {};
}

/** The objects of what should be a list of them. */
export function objectsOf<T extends object>(list: readonly T[] | null | undefined): T[];
export function objectsOf(list: unknown): JsonObject[];
export function objectsOf(list: unknown): object[] {
  const objects: object[] = [];
  for (const entry of listOf(list)) if (isObject(entry)) objects.push(entry);
  return objects;
}

/** What should be text, as text. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** True for calls of the client's own tools. */
export function isCall({ type }: OutputItem): boolean {
  return type === "function_call" || type === "custom_tool_call";
}

/**
 * Why an answer ended too soon, by the event that ended it; undefined when it is whole. An incomplete answer is never a
 * success, whatever it holds and whether or not it says why.
 */
export function shortReason(type: string, response: ResponseObject): "length" | "content_filter" | undefined {
  if (type !== "response.incomplete" && response.status !== "incomplete") return undefined;
  return response.incomplete_details?.reason === "content_filter" ? "content_filter" : "length";
}
