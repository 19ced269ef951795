import { afterAll, describe, expect, test } from "bun:test";
import { parseFlags } from "../../src/cli/flags.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import { CommandHome } from "../support/cli.ts";

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
    [["--debug=false"], "--debug takes no value.", "leave it out"],
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

describe("a command", () => {
  const home = new CommandHome();
  afterAll(() => home.remove());

  test.each([[["serve", "--version"]], [["models", "--json", "--version"]], [["--version"]]])(
    "%j says the version",
    async (argv) => {
      expect(await home.run(argv)).toMatchObject({ code: 0, out: expect.stringMatching(/^plansocket \d/), err: "" });
    },
  );

  test("that is no command is wrong usage, whatever it is called", async () => {
    for (const name of ["serv", "constructor", "__proto__"]) {
      expect(await home.run([name])).toMatchObject({ code: 2, err: expect.stringContaining("Unknown command") });
    }
  });
});
