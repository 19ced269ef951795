import { lstat, mkdir, readFile, realpath, rm, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { writeAtomically } from "../../lib/atomic-file.ts";
import { RelayError } from "../../lib/errors.ts";
import { fileFailure } from "../../lib/file-failure.ts";
import { sha256Hex } from "../../lib/hash.ts";
import { parseJson } from "../../lib/json.ts";
import { withoutOurs } from "./three-way.ts";
import { errorCode } from "../../lib/thrown.ts";

const Entry = z.object({
  path: z.string(),
  /** Name of the copy beside the journal; absent for files that did not exist. */
  backup: z.string().optional(),
  mode: z.number(),
  /** SHA-256 of what setup wrote. */
  written: z.string(),
  /** Name of a copy of that beside the journal; absent in journals of older releases. */
  ours: z.string().optional(),
});
const Journal = z.object({
  entries: z.array(Entry),
  /** Folders that setup made, outermost first. */
  folders: z.array(z.string()),
});
type Entry = z.infer<typeof Entry>;
type Journal = z.infer<typeof Journal>;

/** A file to write: its text as it is, and as it should be. */
export interface Change {
  readonly path: string;
  /** Absent where there is no file. */
  readonly before: string | undefined;
  readonly after: string;
}

/** Files may hold keys, so new ones and copies are their owner's alone. */
const OWNER_ONLY = 0o600;

/** What setup changed for one client, and how it was before: copies and a list in the state folder. */
export class SetupJournal {
  readonly #folder: string;

  constructor(stateFolder: string, client: string) {
    this.#folder = join(stateFolder, "setup", client);
  }

  get folder(): string {
    return this.#folder;
  }

  /**
   * Copies each file, then writes it. A file that still is as setup last wrote it keeps its older copy, so that undo
   * goes back to before the first setup. Throws `setup_failed`; files already written are then listed in the journal.
   */
  async apply(changes: readonly Change[]): Promise<void> {
    const journal = (await this.#load()) ?? { entries: [], folders: [] };
    for (const change of changes) {
      const entry = journal.entries.find(({ path }) => path === change.path);
      const isOurs = entry !== undefined && change.before !== undefined && entry.written === sha256Hex(change.before);
      const kept: Omit<Entry, "written"> = isOurs ? entry : await inStateFolder(() => this.#copy(change));
      const ours = await inStateFolder(() => this.#keep(change.path, change.after));
      journal.entries = [
        ...journal.entries.filter(({ path }) => path !== change.path),
        { ...kept, written: sha256Hex(change.after), ours },
      ];
      journal.folders.push(...(await missingFolders(dirname(change.path))));
      // The journal first: a crash in between leaves a copy too many, never a change that cannot be undone.
      await inStateFolder(() => this.#save(journal));
      await writing(change.path, async () => {
        await mkdir(dirname(change.path), { recursive: true });
        await writeAtomically(change.path, change.after, kept.backup === undefined ? OWNER_ONLY : kept.mode);
      });
    }
  }

  /**
   * Puts every file back byte by byte. From one that was edited since, only setup's own values are taken; where they
   * cannot be told from the edits any more it refuses (`setup_failed`), unless forced: then the old copy comes back.
   */
  async undo(isForced: boolean): Promise<string[]> {
    const journal = await this.#load();
    if (!journal) {
      throw new RelayError("setup_failed", "There is nothing to undo for this client.", {
        hint: "Setups are undone from the account and --state-dir that they were made with.",
      });
    }
    const merged = new Map<Entry, string>();
    const unclear = [];
    for (const entry of isForced ? [] : journal.entries) {
      if (!(await this.#isEdited(entry))) continue;
      const text = await this.#withoutOurs(entry);
      if (text === undefined) unclear.push(entry);
      else merged.set(entry, text);
    }
    if (unclear.length > 0) throw this.#editedSince(unclear);
    const done: string[] = [];
    for (const entry of journal.entries.toReversed()) {
      const text = merged.get(entry);
      done.push(
        await writing(entry.path, () => (text === undefined ? this.#restore(entry) : this.#takeBack(entry, text))),
      );
    }
    for (const folder of journal.folders.toReversed()) await rmdir(folder).catch(() => {});
    await rm(this.#folder, { recursive: true, force: true });
    await rmdir(dirname(this.#folder)).catch(() => {});
    return done;
  }

  /** The file's text now without setup's values; undefined where they cannot be told from edits. */
  async #withoutOurs({ path, backup, ours }: Entry): Promise<string | undefined> {
    const current = await readText(path);
    if (ours === undefined || current === undefined) return undefined;
    const copy = (name: string) => readFile(join(this.#folder, name), "utf8");
    return withoutOurs(path, backup === undefined ? "" : await copy(backup), await copy(ours), current);
  }

  async #takeBack({ path, backup }: Entry, text: string): Promise<string> {
    if (backup === undefined && /^\s*(\{\s*\}|\[\s*\])?\s*$/.test(text)) {
      await unlink(path);
      return `${path} removed`;
    }
    const { mode } = await stat(path);
    await writeAtomically(path, text, mode & 0o7777);
    return `${path}: setup's values taken back, later edits kept`;
  }

  async #restore({ path, backup, mode }: Entry): Promise<string> {
    if (backup === undefined) {
      await unlink(path).catch((error: { code?: string }) => {
        if (error.code !== "ENOENT") throw error;
      });
      return `${path} removed`;
    }
    await mkdir(dirname(path), { recursive: true });
    await writeAtomically(path, await readFile(join(this.#folder, backup), "utf8"), mode);
    return `${path} restored`;
  }

  /** A file that is again as it was before is no edit: there is only nothing left to do for it. */
  async #isEdited({ path, backup, written }: Entry): Promise<boolean> {
    const text = await readText(path);
    if (text === undefined) return backup !== undefined;
    if (sha256Hex(text) === written) return false;
    return backup === undefined || text !== (await readFile(join(this.#folder, backup), "utf8"));
  }

  #editedSince(entries: readonly Entry[]): RelayError {
    const files = entries.map(({ path, backup }) =>
      backup === undefined ? `${path} (which did not exist before)` : `${path} (before: ${join(this.#folder, backup)})`,
    );
    return new RelayError("setup_failed", `Edited since setup: ${files.join(", ")}. Nothing was changed.`, {
      hint: "Add --force to put it back all the same and lose those edits.",
    });
  }

  async #copy({ path, before }: Change): Promise<Omit<Entry, "written">> {
    if (before === undefined) return { path, mode: OWNER_ONLY };
    const { mode } = await stat(path);
    return { path, backup: await this.#keep(path, before), mode: mode & 0o7777 };
  }

  /** A copy beside the journal; returns its name. */
  async #keep(path: string, text: string): Promise<string> {
    const name = `${path.replace(/[^\w.-]+/g, "_").replace(/^_+/, "")}.${sha256Hex(text).slice(0, 12)}`;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeAtomically(join(this.#folder, name), text, OWNER_ONLY);
    return name;
  }

  async #load(): Promise<Journal | undefined> {
    const text = await readText(this.#file);
    if (text === undefined) return undefined;
    const journal = Journal.safeParse(parseJson(text));
    if (journal.success) return journal.data;
    throw new RelayError("setup_failed", `${this.#file} cannot be read as the list of what setup changed.`, {
      hint: "The copies beside it hold the files as they were.",
    });
  }

  async #save(journal: Journal): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeAtomically(this.#file, `${JSON.stringify(journal, undefined, 2)}\n`, OWNER_ONLY);
  }

  get #file(): string {
    return join(this.#folder, "journal.json");
  }
}

/**
 * The text of a file, undefined where there is none. Throws `setup_failed` where it is no UTF-8, because putting such a
 * file back byte by byte could not be promised, and where a symlink leads nowhere, because a write would replace it.
 */
export async function readText(path: string): Promise<string | undefined> {
  const link = await lstat(path).catch(() => undefined);
  if (!link) return undefined;
  if (link.isSymbolicLink() && !(await realpath(path).catch(() => undefined))) {
    throw new RelayError("setup_failed", `${path} is a symlink to a file that does not exist.`, {
      hint: "Make that file or remove the link, then try again.",
    });
  }
  const bytes = await writing(path, () => readFile(path), "read");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RelayError("setup_failed", `${path} is no UTF-8 text.`, {
      hint: "Fix it or move it away, then try again.",
    });
  }
}

/** Runs a write below the state folder; where that cannot be written, the failure names the way out. */
async function inStateFolder<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const instead = "or choose another folder for copies with --state-dir";
    throw fileFailure(error, { code: "setup_failed", instead }) ?? error;
  }
}

async function missingFolders(folder: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = folder; !(await stat(at).catch(() => undefined)) && at !== dirname(at); at = dirname(at)) {
    missing.unshift(at);
  }
  return missing;
}

async function writing<T>(path: string, act: () => Promise<T>, verb = "written"): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const code = errorCode(cause) ?? "unknown error";
    throw new RelayError("setup_failed", `${path} could not be ${verb} (${code}).`, {
      cause,
      hint: "Look at who may read and write it, and at its folder.",
    });
  }
}
