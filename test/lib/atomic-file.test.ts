import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overwrite, writeAtomically } from "../../src/lib/atomic-file.ts";

let home: string;
let file: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-atomic-"));
  file = join(home, "secret.json");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("a new file gets the mode that was asked for, whatever the umask", async () => {
  const before = process.umask(0o077);
  try {
    await writeAtomically(file, "grün", 0o640);
  } finally {
    process.umask(before);
  }
  expect(modeOf(file)).toBe(0o640);
  expect(readFileSync(file, "utf8")).toBe("grün");
});

test("a file that others could read becomes private", async () => {
  writeFileSync(file, "old", { mode: 0o644 });
  await writeAtomically(file, "new", 0o600);
  expect(modeOf(file)).toBe(0o600);
  expect(readdirSync(home)).toEqual(["secret.json"]);
});

test("a chain of symlinks stays, its end is replaced", async () => {
  writeFileSync(file, "old");
  symlinkSync(file, join(home, "a"));
  symlinkSync("a", join(home, "b"));
  await writeAtomically(join(home, "b"), "new", 0o600);
  expect([lstatSync(join(home, "a")).isSymbolicLink(), lstatSync(join(home, "b")).isSymbolicLink()]).toEqual([
    true,
    true,
  ]);
  expect(readFileSync(file, "utf8")).toBe("new");
});

test("a write that fails leaves the target alone and nothing beside it", async () => {
  const folder = join(home, "folder");
  await writeAtomically(join(home, "x"), "", 0o600);
  symlinkSync(home, folder);
  expect(
    await writeAtomically(home, "new", 0o600).catch((error: unknown) => (error as { code: string }).code),
  ).toBeOneOf(["EISDIR", "ENOTEMPTY", "EEXIST", "EBUSY", "EPERM"]);
  expect(readdirSync(home).toSorted()).toEqual(["folder", "x"]);
});

test("readers see whole texts only while fifty are written", async () => {
  const text = (letter: string) => letter.repeat(20_000);
  writeFileSync(file, text("a"));
  const torn: string[] = [];
  const readAll = async (writing: { isDone: boolean }) => {
    while (!writing.isDone) {
      const seen = await Bun.file(file).text();
      if (seen !== text(seen[0] ?? "")) torn.push(seen.slice(0, 20));
    }
  };
  const writing = { isDone: false };
  const reader = readAll(writing);
  for (let times = 0; times < 50; times += 1) await writeAtomically(file, text("abcdefghij"[times % 10] ?? "a"), 0o600);
  writing.isDone = true;
  await reader;
  expect(torn).toEqual([]);
});

test("what a killed writer left behind is swept, what a living one is writing is not", async () => {
  const leftover = join(home, ".secret.json.1.abc.tmp");
  const inProgress = join(home, ".secret.json.2.def.tmp");
  writeFileSync(leftover, "token");
  writeFileSync(inProgress, "token");
  utimesSync(leftover, 1_700_000_000, 1_700_000_000);
  await writeAtomically(file, "new", 0o600);
  expect(readdirSync(home).toSorted()).toEqual([".secret.json.2.def.tmp", "secret.json"]);
});

test("a symlink that leads to nothing yet stays one, and what it leads to is made", async () => {
  mkdirSync(join(home, "elsewhere"));
  symlinkSync("elsewhere/secret.json", file);
  symlinkSync("secret.json", join(home, "first"));
  await writeAtomically(join(home, "first"), "new", 0o600);
  expect([lstatSync(file).isSymbolicLink(), lstatSync(join(home, "first")).isSymbolicLink()]).toEqual([true, true]);
  expect(readFileSync(join(home, "elsewhere/secret.json"), "utf8")).toBe("new");
  expect(readdirSync(join(home, "elsewhere"))).toEqual(["secret.json"]);
});

test("symlinks that lead to each other are an error, not a hang", async () => {
  symlinkSync("b", join(home, "a"));
  symlinkSync("a", join(home, "b"));
  await writeAtomically(join(home, "a"), "new", 0o600).catch(() => {});
  expect(readdirSync(home).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test.skipIf(process.getuid?.() !== 0)("what root writes for another user stays theirs", async () => {
  writeFileSync(file, "old", { mode: 0o600 });
  chownSync(file, 12_345, 54_321);
  await writeAtomically(file, "new", 0o600);
  const { uid, gid } = statSync(file);
  expect([uid, gid, modeOf(file), readFileSync(file, "utf8")]).toEqual([12_345, 54_321, 0o600, "new"]);
});

test.each(["longer than before", "x"])("overwriting in place makes the file private: %p", async (text) => {
  writeFileSync(file, "as it was", { mode: 0o640 });
  const { ino } = statSync(file);
  await overwrite(file, text, 0o600, () => {});
  expect([statSync(file).ino, modeOf(file), readFileSync(file, "utf8")]).toEqual([ino, 0o600, text]);
});

test("a check that fails leaves the file as it was", async () => {
  writeFileSync(file, "as it was");
  const check = () => {
    throw new Error("no");
  };
  await overwrite(file, "new", 0o600, check).catch(() => {});
  await writeAtomically(file, "new", 0o600, check).catch(() => {});
  expect([readFileSync(file, "utf8"), readdirSync(home)]).toEqual(["as it was", ["secret.json"]]);
});

const mount = (place: string) =>
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "mode=0700,size=8k", "tmpfs", place]).exitCode === 0;
const unmount = (place: string) => void Bun.spawnSync(["umount", "--lazy", place]);

const canMount = ((): boolean => {
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  const place = mkdtempSync(join(tmpdir(), "plansocket-mount-"));
  const isMounted = mount(place);
  if (isMounted) unmount(place);
  rmSync(place, { recursive: true });
  return isMounted;
})();

test.skipIf(!canMount)("a disk that takes only a part of it keeps the file as it was", async () => {
  mount(home);
  try {
    const before = "as it was ".repeat(400);
    writeFileSync(file, before);
    writeFileSync(join(home, "filler"), Buffer.alloc(4096));
    const failure = await overwrite(file, "new ".repeat(1500), 0o600, () => {}).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "ENOSPC" });
    expect(readFileSync(file, "utf8") === before).toBe(true);
  } finally {
    unmount(home);
  }
});
