import { describe, expect, test } from "bun:test";
import { errorCode, errorName } from "../../src/lib/thrown.ts";

describe("a thrown value", () => {
  test("gives the code of a system error", () => {
    expect(errorCode(Object.assign(new Error("no such file"), { code: "ENOENT" }))).toBe("ENOENT");
  });

  test("gives the name of a DOMException but not its numeric code", () => {
    const timeout = new DOMException("The operation timed out.", "TimeoutError");
    expect([errorName(timeout), errorCode(timeout)]).toEqual(["TimeoutError", undefined]);
  });

  test.each([undefined, null, "ENOENT", 7])("gives neither when it is %p, which is no error", (thrown) => {
    expect([errorCode(thrown), errorName(thrown)]).toEqual([undefined, undefined]);
  });
});
