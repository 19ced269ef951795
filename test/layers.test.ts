import { expect, test } from "bun:test";
import { Glob } from "bun";
import { dirname, join, normalize } from "node:path";

/** Which folders each folder of src may import. Nothing points up. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  store: ["lib"],
  auth: ["store", "lib"],
  codex: ["lib"],
  keys: ["codex", "store", "lib"],
  upstream: ["codex", "auth", "store", "lib"],
  protocols: ["codex", "lib"],
  demo: ["codex", "lib"],
  config: ["lib"],
  page: [],
  telemetry: ["lib"],
  ledger: ["store", "lib"],
  server: ["page", "ledger", "protocols", "codex", "upstream", "telemetry", "keys", "auth", "store", "lib"],
  cli: [
    "config",
    "server",
    "telemetry",
    "ledger",
    "demo",
    "protocols",
    "upstream",
    "keys",
    "codex",
    "auth",
    "store",
    "lib",
  ],
};

/** Files at the top of src: the entry, and facts about the build that anyone may read. */
const TOP_LEVEL: Readonly<Record<string, readonly string[]>> = { "main.ts": ["cli"], "version.ts": [] };

/** Value and type imports, static and dynamic, of files of ours. */
function importsOf(source: string): string[] {
  return [...source.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)].map((match) => match[1] ?? "");
}

/** The folder below src that a path lies in, or "" for files directly in src. */
function roomOf(path: string): string {
  const [room, ...rest] = path.split("/");
  return rest.length > 0 ? (room ?? "") : "";
}

async function violations(): Promise<string[]> {
  const found: string[] = [];
  for await (const path of new Glob("**/*.ts").scan("src")) {
    const room = roomOf(path);
    const allowed = room === "" ? TOP_LEVEL[path] : MAY_IMPORT[room];
    if (!allowed) found.push(`${path}: no rule for this place`);
    for (const specifier of importsOf(await Bun.file(join("src", path)).text())) {
      const target = normalize(join(dirname(path), specifier));
      const targetRoom = roomOf(target);
      const isBuildFact =
        target === "version.ts" || target === "../package.json" || target.startsWith("../node_modules/");
      if (targetRoom === room || isBuildFact || allowed?.includes(targetRoom)) continue;
      found.push(`${path} imports ${target}`);
    }
  }
  return found;
}

/** Dialects share `protocol.ts`, never each other. */
async function crossings(): Promise<string[]> {
  const found: string[] = [];
  for await (const path of new Glob("protocols/*/**/*.ts").scan("src")) {
    const own = path.split("/").slice(0, 2).join("/");
    for (const specifier of importsOf(await Bun.file(join("src", path)).text())) {
      const target = normalize(join(dirname(path), specifier));
      const isForeign = /^protocols\/[^/]+\//.test(target) && !target.startsWith(`${own}/`);
      if (isForeign) found.push(`${path} imports ${target}`);
    }
  }
  return found;
}

test("nothing in src points up", async () => {
  expect(await violations()).toEqual([]);
});

test("a dialect never imports another dialect", async () => {
  expect(await crossings()).toEqual([]);
});

test("nothing in src loads the schemas of the backend's events", async () => {
  const found: string[] = [];
  for await (const path of new Glob("**/*.ts").scan("src")) {
    const imports = (await Bun.file(join("src", path)).text()).matchAll(/^import (?!type ).*from "(.+)";$/gm);
    for (const [, specifier = ""] of imports) {
      if (normalize(join(dirname(path), specifier)) === "codex/wire/schema.ts") found.push(path);
    }
  }
  expect(found).toEqual([]);
});

test("dialects touch neither clock, network, disk nor randomness", async () => {
  const impure = /\b(fetch\(|Date\.now|new Date\(\)|Math\.random|randomUUID|node:fs|Bun\.file|process\.)/;
  const found: string[] = [];
  for (const room of ["protocols", "codex"]) {
    for await (const path of new Glob(`${room}/**/*.ts`).scan("src")) {
      if (impure.test(await Bun.file(join("src", path)).text())) found.push(path);
    }
  }
  expect(found).toEqual([]);
});
