import { RelayError } from "../lib/errors.ts";
import { socketOf } from "./call-relay.ts";

/** The value of a command's --url: the address of a relay, also when given with /v1. Throws `usage`. */
export function relayUrl(text: string | true): string {
  if (typeof text === "string" && /^https?:\/\/[^/\s]+/.test(text)) return text.replace(/\/+(v1\/?)?$/, "");
  if (typeof text === "string" && socketOf(text)) return text;
  throw new RelayError("usage", `Bad value '${String(text).slice(0, 80)}' for --url.`, {
    hint: "It is like http://127.0.0.1:8787. A socket is like unix:/run/relay.sock.",
  });
}
