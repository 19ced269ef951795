import { isObject, type JsonObject } from "../lib/json.ts";

/*
 * Bodies here are whatever a client sent, so each reader answers with the empty value of its kind instead of throwing.
 */

export function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

export function asObjects(value: unknown): JsonObject[] {
  return asList(value).filter(isObject);
}

export function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A value as it would stand in a sentence. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "None";
  return typeof value === "string" ? value : JSON.stringify(value);
}
