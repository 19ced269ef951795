import { describe, expect, test } from "bun:test";
import { parseFlags } from "../../src/cli/flags.ts";
import type { RelayError } from "../../src/lib/errors.ts";

describe("flags", () => {
  test.each([
    [["--port", "9"], { port: "9" }],
    [["--port=9"], { port: "9" }],
    [["-p", "9"], { port: "9" }],
    [["-p9"], { port: "9" }],
    [["-p=9"], { port: "9" }],
    [["--strict"], { strict: true }],
    [["--strict=false"], { strict: "false" }],
    [["--debug"], { logLevel: "debug" }],
    [["--cors-origin", "https://a", "--cors-origin=https://b"], { corsOrigins: ["https://a", "https://b"] }],
    [["--instructions", "Be = brief"], { instructions: "Be = brief" }],
    [["--instructions=a\nb"], { instructions: "a\nb" }],
    [[], {}],
  ])("%j", (argv, settings) => {
    expect(parseFlags(argv).settings as object).toEqual(settings);
  });

  test.each([
    [["--prot", "9"], "Unknown flag '--prot'.", "--port"],
    [["--strictt"], "Unknown flag '--strictt'.", "--strict"],
    [["--port"], "--port needs a value.", "--port VALUE"],
    [["--port", "--strict"], "--port needs a value.", "--port VALUE"],
    [["9000"], "Unexpected argument '9000'.", "--"],
  ])("%j is refused", (argv, message, hint) => {
    let error: RelayError | undefined;
    try {
      parseFlags(argv);
    } catch (thrown) {
      error = thrown as RelayError;
    }
    expect([error?.code, error?.message]).toEqual(["usage", message]);
    expect(error?.hint).toContain(hint);
  });
});
