import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DEMO_CATALOGUE } from "../../src/demo/catalogue.ts";
import type { Target } from "../../src/cli/setup/client.ts";
import { CLIENTS } from "../../src/cli/setup/index.ts";
import { readText, SetupJournal, type Change } from "../../src/cli/setup/journal.ts";
import { addressOf, modelsOf } from "../../src/cli/setup/target.ts";

/** Files below a folder by relative path; folders end in a slash, and links say where they lead. */
export type Tree = Readonly<Record<string, string>>;

export function treeOf(folder: string, prefix = ""): Tree {
  if (!existsSync(folder)) return {};
  return Object.fromEntries(
    readdirSync(folder, { withFileTypes: true })
      .toSorted((a, b) => a.name.localeCompare(b.name))
      .flatMap((entry): [string, string][] => {
        const path = join(folder, entry.name);
        const name = `${prefix}${entry.name}`;
        if (entry.isDirectory()) return [[`${name}/`, ""], ...Object.entries(treeOf(path, `${name}/`))];
        const mode = (lstatSync(path).mode & 0o777).toString(8);
        return [[`${name} ${entry.isSymbolicLink() ? "link" : mode}`, readFileSync(path, "utf8")]];
      }),
  );
}

/** Only files, without their modes: what a golden folder can hold. */
export function filesOf(tree: Tree): Tree {
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([name]) => !name.endsWith("/"))
      .map(([name, text]) => [name.replace(/ \w+$/, ""), text]),
  );
}

/** As a provider of its own, or in the place of the client's built-in one. */
export type Way = "plan" | "planAsBuiltin";

/** A home in which clients are set up without starting a process for each. */
export class SetupHome {
  readonly path = mkdtempSync(join(tmpdir(), "plansocket-setup-"));
  readonly #state = mkdtempSync(join(tmpdir(), "plansocket-state-"));

  write(files: Tree): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.path, name)), { recursive: true });
      writeFileSync(join(this.path, name), text, { mode: 0o640 });
    }
  }

  tree(): Tree {
    return treeOf(this.path);
  }

  target(over: Partial<Target> = {}, apiKey?: string): Target {
    return {
      ...addressOf("http://127.0.0.1:8787", apiKey),
      ...modelsOf({ ...DEMO_CATALOGUE, published: ["gpt-6.1-sol", "gpt-6-luna"] }, undefined),
      isDefault: false,
      envFile: undefined,
      shell: undefined,
      env: { HOME: this.path },
      ...over,
    };
  }

  journal(client: string): SetupJournal {
    return new SetupJournal(this.#state, client);
  }

  /** What setup would change now. */
  async changes(client: string, target = this.target(), way: Way = "plan"): Promise<Change[]> {
    const changes: Change[] = [];
    for (const { path, edit } of CLIENTS[client]?.[way]?.(target).files ?? []) {
      const before = await readText(path);
      const after = edit(before ?? "");
      if (after !== (before ?? "")) changes.push({ path, before, after });
    }
    return changes;
  }

  async setup(client: string, target = this.target(), way: Way = "plan"): Promise<void> {
    await this.journal(client).apply(await this.changes(client, target, way));
  }

  stateTree(): Tree {
    return treeOf(this.#state);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    rmSync(this.#state, { recursive: true, force: true });
  }
}
