import { describe, expect, test } from "bun:test";
import { fileFailure } from "../../src/lib/file-failure.ts";
import { printableJson, printableLine, printableText } from "../../src/lib/printable.ts";

const failing = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });

describe("a file operation that fails", () => {
  test.each([
    "EACCES",
    "EPERM",
    "EROFS",
    "ENOSPC",
    "EDQUOT",
    "ENOTDIR",
    "EISDIR",
    "ENOENT",
    "ELOOP",
    "EBUSY",
    "EIO",
    "EMFILE",
  ])("with %s is told in words, with the path and what to do", (code) => {
    const error = fileFailure(failing(code, { path: "/x/y", syscall: "open" }), { instead: "or use --state-dir" });
    expect(error?.message).toMatch(new RegExp(`^/x/y could not be written: .+ \\(${code}\\)\\.$`));
    expect(error?.hint).toMatch(/^[A-Z].+, or use --state-dir\.$/);
  });

  test("on reading says so", () => {
    const error = fileFailure(failing("EACCES", { path: "/x" }), { verb: "read" });
    expect(error?.message).toBe("/x could not be read: this user may not (EACCES).");
  });

  test("on a mode that the file system refuses names the mode", () => {
    const error = fileFailure(failing("EPERM", { path: "/x", syscall: "fchmod" }));
    expect(error?.message).toBe("The mode of /x could not be set: its file system refuses (EPERM).");
  });

  test("a rename is told by its target", () => {
    expect(fileFailure(failing("EXDEV", { path: "/a", dest: "/b" }))).toBeUndefined();
    expect(fileFailure(failing("EACCES", { path: "/a", dest: "/b" }))?.message).toStartWith("/b could not");
  });

  test("other errors are no file failures", () => {
    expect(fileFailure(new TypeError("x is not a function"))).toBeUndefined();
    expect(fileFailure(failing("ECONNREFUSED"))).toBeUndefined();
  });
});

describe("text for a terminal", () => {
  test.each([
    ["\u001b[31mred\u001b[0m", "red"],
    ["\u001b]0;title\u0007text", "text"],
    ["\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["\u009b31mred", "red"],
    ["\u009d0;t\u009cx", "x"],
    ["a\u202egnp.exe\u2066", "a gnp.exe "],
    ["cut off \u001b[", "cut off "],
    ["cut off \u001b", "cut off "],
    ["a\u0000b\u0085c\u2028d", "a b c d"],
    ["größe 漢字 🎉 👩‍💻", "größe 漢字 🎉 👩‍💻"],
  ])("%j is shown as %j", (text, shown) => {
    expect(printableLine(text)).toBe(shown);
    expect(printableText(text)).toBe(shown);
  });

  test("keeps line feeds and tabs where lines are meant", () => {
    expect(printableText("a\r\n\tb\rc\n")).toBe("a\n\tb c\n");
    expect(printableLine("a\n\tb")).toBe("a  b");
  });

  test("JSON keeps its meaning", () => {
    const value = { name: "a\u202eb\u009b31m\u007f" };
    const json = printableJson(JSON.stringify(value, undefined, 2));
    expect(JSON.parse(json)).toEqual(value);
    expect(json).not.toMatch(/[\u007f-\u009f\u202e]/);
  });
});
