import { RelayError } from "../lib/errors.ts";

/** Where a shared store is, as its owner named it. */
export interface StoreAddress {
  /** For Bun's client, with credentials. */
  readonly url: string;
  /** Without credentials; for people. */
  readonly shown: string;
  readonly isTls: boolean;
}

/** Schemes of Bun's client, by the words that people write. */
const SCHEMES: Readonly<Record<string, string>> = {
  "redis:": "redis:",
  "valkey:": "redis:",
  "rediss:": "rediss:",
  "valkeys:": "rediss:",
};

const EXAMPLE = "As in rediss://USER:PASSWORD@valkey.internal:6379/0.";

/** Reads the URL of a store. Throws `usage` for one that no store can have, saying what it should look like. */
export function storeAddress(text: string): StoreAddress {
  const refuse = (reason: string) => new RelayError("usage", `--store ${reason}.`, { hint: EXAMPLE });
  if (!URL.canParse(text)) throw refuse("must be a URL that begins with redis:// or rediss://");
  const url = new URL(text);
  const scheme = SCHEMES[url.protocol];
  if (scheme === undefined) {
    if (/sentinel|cluster/i.test(url.protocol)) {
      throw refuse("takes the address of one server: Sentinel and cluster addresses are not supported");
    }
    throw refuse("must begin with redis:// or rediss://");
  }
  const { hostname, host, search, hash, username, password } = url;
  const database = url.pathname.replace(/^\//, "");
  if (hostname === "") throw refuse("names no host");
  if (host.includes(",")) throw refuse("takes the address of one server: lists of them are not supported");
  if (search !== "" || hash !== "") throw refuse("must be without ? and #");
  if (!/^\d{0,5}$/.test(database)) throw refuse("must end with the number of a database, or with none");
  const login = username === "" && password === "" ? "" : `${username}:${password}@`;
  return {
    url: `${scheme}//${login}${host}${database === "" ? "" : `/${database}`}`,
    shown: `${scheme}//${host}${database === "" ? "" : `/${database}`}`,
    isTls: scheme === "rediss:",
  };
}
