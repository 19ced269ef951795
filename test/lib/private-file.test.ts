import { afterEach, beforeEach, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  assertOwnFolder,
  openPrivate,
  assertPlainFile,
  readOwn,
  textIfFile,
  writePrivate,
} from "../../src/lib/private-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-private-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const startFailed = expect.objectContaining({ code: "start_failed" });
const modeOf = (path: string) => statSync(path).mode & 0o777;

test("a private file is 0600 whatever the umask, and whatever it was before", () => {
  const path = join(folder, "relay.pid");
  const umask = process.umask(0);
  try {
    writePrivate(path, "1");
    expect(modeOf(path)).toBe(0o600);
    const open = join(folder, "open");
    writeFileSync(open, "a longer text", { mode: 0o666 });
    writePrivate(open, "2");
    expect([modeOf(open), readFileSync(open, "utf8")]).toEqual([0o600, "2"]);
  } finally {
    process.umask(umask);
  }
});

test("a link in a private file's place is refused, and what it leads to stays as it was", () => {
  const target = join(folder, "precious");
  const link = join(folder, "relay.log");
  writeFileSync(target, "precious", { mode: 0o644 });
  symlinkSync(target, link);
  expect(() => openPrivate(link, "append")).toThrow(startFailed);
  expect(() => writePrivate(link, "1")).toThrow(startFailed);
  expect(() => assertPlainFile(link)).toThrow(startFailed);
  expect([readFileSync(target, "utf8"), modeOf(target)]).toEqual(["precious", 0o644]);
});

test("a pipe in a private file's place is refused, not waited for", () => {
  const pipe = join(folder, "relay.pid");
  Bun.spawnSync(["mkfifo", pipe]);
  expect(() => openPrivate(pipe, "append")).toThrow(startFailed);
  expect(() => readOwn(pipe, 100)).toThrow(startFailed);
  expect(textIfFile(pipe)).toBe("");
  expect([textIfFile(folder), textIfFile(join(folder, "none"))]).toEqual(["", ""]);
});

test.skipIf(process.getuid?.() !== 0)("a device keeps its mode (needs root)", () => {
  const before = statSync("/dev/null").mode;
  expect(() => openPrivate("/dev/null", "append")).toThrow(startFailed);
  expect(statSync("/dev/null").mode).toBe(before);
});

test("a link that leads nowhere is refused too, and makes no file there", () => {
  const link = join(folder, "relay.log");
  symlinkSync(join(folder, "nowhere"), link);
  expect(() => openPrivate(link, "append")).toThrow(startFailed);
  expect(statSync(join(folder, "nowhere"), { throwIfNoEntry: false })).toBeUndefined();
});

test.skipIf(process.getuid?.() !== 0)("a folder and a file of another user are refused", () => {
  const theirs = join(folder, "theirs");
  mkdirSync(theirs);
  const file = join(folder, "file");
  writeFileSync(file, "");
  for (const path of [theirs, file]) chownSync(path, 12345, 12345);
  expect(() => assertOwnFolder(theirs)).toThrow(startFailed);
  expect(() => openPrivate(file, "append")).toThrow(startFailed);
  expect(() => assertOwnFolder(folder)).not.toThrow();
  expect(() => assertOwnFolder(join(folder, "missing"))).not.toThrow();
});
