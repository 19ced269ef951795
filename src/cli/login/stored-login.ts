import { parsedLogin } from "../../auth/sources/auth-file.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { SharedStore } from "../store.ts";
import type { LoginFile } from "./place.ts";

/** The login in a store, as `login` and `logout` handle one in a file. All throw `store_unavailable`. */
export function storedLogin(store: SharedStore): LoginFile {
  const login = store.login();
  return {
    name: login.name,
    async load() {
      await store.connection.open();
      return login.load();
    },
    async proveReplaceable() {
      await store.connection.open();
      await login.proveWritable();
    },
    replace: (file: JsonObject) => login.replace(parsedLogin(file, login.name)),
    remove: () => login.replace(undefined),
  };
}
