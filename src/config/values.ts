import { z } from "zod";
import { parseJson } from "../lib/json.ts";

/*
 * What values of settings look like, in flags, variables and the config file alike. Each is a function that makes the
 * schema, and is called for a value that somebody has given: making all of them at a start would take milliseconds.
 */

/** Text that is not only white space. */
export const text = () => z.string({ error: "must be text" }).trim().min(1, { error: "must not be empty" });

/** What a number may be. */
export interface Range {
  readonly least: number;
  readonly most: number;
  /** The least itself is not allowed. */
  readonly isAbove?: boolean;
  readonly isWhole?: boolean;
}

/** A number, or text that is one. Not z.coerce: that takes "" for 0 and true for 1. */
export function number({ least, most, isAbove, isWhole }: Range) {
  return () => {
    const error = `must be a ${isWhole ? "whole " : ""}number ${isAbove ? `above ${least}, at most` : `from ${least} to`} ${most}`;
    const bounded = z.number({ error }).max(most, { error });
    const bounds = isAbove ? bounded.gt(least, { error }) : bounded.min(least, { error });
    return z.preprocess(
      (value) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value),
      isWhole ? bounds.int({ error }) : bounds,
    );
  };
}

export const port = number({ least: 0, most: 65_535, isWhole: true });
export const seconds = number({ least: 0, most: 86_400, isAbove: true });
const host = () =>
  text()
    .transform((value) => value.replace(/^\[(.*)\]$/, "$1"))
    .superRefine((value, context) => {
      if (/^[^:/\s]+:\d+$/.test(value)) {
        context.addIssue({ code: "custom", message: "must be without a port; that has a setting of its own" });
      } else if (!/^[\w.:%-]+$/.test(value)) {
        context.addIssue({ code: "custom", message: "must be a host name or an IP address" });
      }
    });
/** One name or address, or several. */
export const hosts = () =>
  z
    .preprocess(
      entriesOf,
      z.array(host(), { error: "must be text, or a list of texts" }).min(1, { error: "must not be empty" }),
    )
    .transform((entries) => [...new Set(entries)]);
/** A colon would end it in `unix:PATH:/base`. */
export const socketPath = () => text().refine((value) => !/[:\0]/.test(value), "must be a path without a colon");
export const url = () =>
  text()
    .refine((value) => isWebUrl(value), "must be a URL that begins with http:// or https://")
    .refine((value) => !/[?#]/.test(value), "must be without ? and #")
    .transform((value) => value.replace(/\/+$/, ""));

function isWebUrl(value: string): boolean {
  return /^https?:\/\/[^/\s]+/i.test(value) && !/\s/.test(value) && URL.canParse(value);
}

/** `a, b or c`. */
function alternatives(values: readonly string[]): string {
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1) ?? ""}`;
}

/** A choice in any case, and under the words that other tools have for it. */
export const choice =
  <const T extends readonly [string, ...string[]]>(values: T, others: Readonly<Record<string, string>> = {}) =>
  () =>
    z.preprocess(
      (value) => {
        const word = typeof value === "string" ? value.trim().toLowerCase() : value;
        return typeof word === "string" ? (others[word] ?? word) : word;
      },
      z.enum(values, { error: `must be ${alternatives(values)}` }),
    );
export const toggle = () =>
  z.preprocess(
    (value) => {
      if (value === true || /^(1|true|yes|on)$/i.test(String(value))) return true;
      return value === false || /^(0|false|no|off)$/i.test(String(value)) ? false : value;
    },
    z.boolean({ error: "must be true or false" }),
  );
const texts = () =>
  z.array(z.string({ error: "must be text, or a list of texts" }), {
    error: "must be text, or a list of texts",
  });
export const list = () => z.preprocess(entriesOf, texts());

/** Entries may be separated by commas, in a text or in each text of a list. */
function entriesOf(value: unknown): unknown[] {
  return [value]
    .flat()
    .flatMap((entry) => (typeof entry === "string" ? entry.split(",") : [entry]))
    .map((entry) => (typeof entry === "string" ? entry.trim() : entry))
    .filter((entry) => entry !== "");
}

const isBlank = (value: unknown) => typeof value === "string" && value.trim() === "";

/** A list whose entries are brought into one form. Refuses an entry without one, and text that is only white space. */
const listOf = (normalize: (entry: string) => string | undefined, message: string) => () =>
  z
    .preprocess((value) => ([value].flat().some(isBlank) ? [value].flat() : entriesOf(value)), texts())
    .transform((entries, context) =>
      entries.map((entry) => {
        const normal = normalize(entry);
        if (normal === undefined) context.addIssue({ code: "custom", message });
        return normal ?? entry;
      }),
    );
export const hostNames = listOf(
  allowedHost,
  "must be a host name or an IP address; patterns, paths and blocks of addresses are not supported",
);
export const origins = listOf(webOrigin, "must be *, or scheme and host of a page without a path");

/** What a Host header can carry: people paste whole URLs, which would never match. */
function allowedHost(entry: string): string | undefined {
  const match = /^(?:https?:\/\/(?<named>[^/?#]+)[^\s]*|(?<bare>[^/]+)\/?)$/i.exec(entry);
  const name = match?.groups?.["named"] ?? match?.groups?.["bare"] ?? "";
  if (name === "" || /^\d+$|[*@\s\\]/.test(name) || name.startsWith(".")) return undefined;
  // An IPv6 address may come without the brackets of a URL.
  const authority = /^[\da-f]*:[\da-f:]*:[\da-f.]*$/i.test(name) ? `[${name}]` : name;
  const parsed = URL.canParse(`http://${authority}`) ? new URL(`http://${authority}`).hostname : "";
  return parsed.replace(/\.$/, "") || undefined;
}

/** As browsers send it: no slash at the end, no usual port. Schemes of desktop apps and extensions are kept as given. */
function webOrigin(entry: string): string | undefined {
  if (entry === "*" || entry === "null") return entry;
  const bare = entry.replace(/\/$/, "");
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/i.test(bare) || !URL.canParse(bare)) return undefined;
  return /^https?:/i.test(bare) ? new URL(bare).origin : bare;
}

/** A proxy without a scheme is an HTTP one, as for curl; a SOCKS proxy without a version gets the names to look up. */
export const proxy = () =>
  text().transform((value, context) => {
    const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value.replace(/^socks:/i, "socks5h:") : `http://${value}`;
    const isSocks = /^socks5h?:\/\/[^/\s]+\/?$/i.test(full) && URL.canParse(full);
    if (isSocks || isWebUrl(full)) return full;
    const message = `${proxyFault(full)}; must be like http://host:port or socks5h://host:port`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

/** Said instead of the value, which may hold a password. */
function proxyFault(value: string): string {
  const [, scheme = "", authority = ""] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(value) ?? [];
  if (!/^(https?|socks5h?)$/i.test(scheme)) return `begins with ${scheme}://, which is not supported`;
  const host = authority.replace(/^.*@/, "");
  if (/^(:\d*)?$/.test(host)) return "names no host";
  return Number(/:(\d+)$/.exec(host)?.[1] ?? 0) > 65_535 ? "has a port above 65535" : "is no URL";
}

/** `auto`, `on`, `off`, or single models as `gpt-x=off`; several separated by commas. */
export const lite = () =>
  text().transform((value, context) => {
    const result = { default: "auto" as "auto" | "on" | "off", models: {} as Record<string, "on" | "off"> };
    for (const part of value.split(",").map((entry) => entry.trim())) {
      const single = /^([^=\s]+)=(on|off)$/.exec(part);
      if (single?.[1] !== undefined) result.models[single[1]] = single[2] === "on" ? "on" : "off";
      else if (part === "auto" || part === "on" || part === "off") result.default = part;
      else context.addIssue({ code: "custom", message: "must be auto, on, off or MODEL=on|off" });
    }
    return result;
  });

/** `fast=gpt-x,claude-y=gpt-z`: names that clients may use, and the model that each stands for. */
export const aliases = () =>
  list().transform((parts, context) => {
    const models: Record<string, string> = {};
    for (const part of parts) {
      const pair = /^([^=\s]+)=([^=\s]+)$/.exec(part);
      if (pair?.[1] === undefined || pair[2] === undefined)
        context.addIssue({ code: "custom", message: "must be NAME=MODEL" });
      else models[pair[1].toLowerCase()] = pair[2];
    }
    return models;
  });

/** What a header's product token takes, with spaces, as some Codex programs have them. */
export const originator = () =>
  text().regex(/^[\w.-]+(?: [\w.-]+)*$/, "must be a name of letters, digits, '_', '-' and '.'");

const pricePart = () =>
  z.number({ error: "must have prices that are numbers" }).min(0, { error: "must have no price below 0" });
/** By model id, as an object or its JSON. A misspelled part would be a price that nobody notices. */
export const prices = () =>
  z.preprocess(
    (value) => (typeof value === "string" ? parseJson(value) : value),
    z.record(
      z.string(),
      z.strictObject(
        { input: pricePart(), cached: pricePart().optional(), output: pricePart() },
        { error: "must have input, output and perhaps cached for each model" },
      ),
      { error: "must be an object of models" },
    ),
  );

export const trustedProxies = listOf(
  (entry) => (isProxyAddress(entry.toLowerCase()) ? entry.toLowerCase() : undefined),
  "must be an address, a block of addresses, loopback or private",
);

function isProxyAddress(entry: string): boolean {
  if (entry === "loopback" || entry === "private") return true;
  const [address = "", bits, more] = entry.split("/");
  const version = process.getBuiltinModule("node:net").isIP(address);
  if (version === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

export const storePrefix = () =>
  text().refine((value) => /^[\w.:-]{1,64}$/.test(value), {
    error: "must be up to 64 letters, digits, dots, colons, dashes and underscores",
  });
/** A slash at its end means the same. */
export const basePath = () =>
  text()
    .transform((value) => value.replace(/\/+$/, ""))
    .refine((value) => /^(?:\/[\w.~-]+)*$/.test(value), "must be like /relay");

/** A word of ours in any case, or a model's id. */
export const fallback = () =>
  text()
    .refine((value) => !/\s/.test(value), "must be off, reserve, api-key or a model's name")
    .transform((value) =>
      /^(off|none|reserve|api-key)$/i.test(value) ? value.toLowerCase().replace("none", "off") : value,
    );

export const addr = () =>
  text().transform((value, context) => {
    const match = /^(\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(value);
    if (!match) context.addIssue({ code: "custom", message: "must be like HOST:PORT" });
    else if (Number(match[2]) > 65_535)
      context.addIssue({ code: "custom", message: "must have a port from 0 to 65535" });
    return { host: (match?.[1] ?? "").replace(/^\[|\]$/g, ""), port: Number(match?.[2]) };
  });

/** A part of a plan's window, with or without its sign. */
export const percent = () =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.replace(/\s*%$/, "") : value),
    number({ least: 1, most: 100 })(),
  );
/** Below the base URL. */
export const urlPath = () => text().refine((value) => value.startsWith("/"), "must begin with /");
