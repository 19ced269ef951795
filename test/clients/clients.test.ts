import { describe, expect, test } from "bun:test";
import { withSection } from "../support/compatibility.ts";
import type { Client, Task } from "./client.ts";
import { CLIENTS } from "./list.ts";
import { readOptions } from "./options.ts";
import { relayFailures, table, titleOf, type Result } from "./report.ts";

describe("the command line of the clients", () => {
  test("runs all over both ways, or those that are named over the ways that are named", () => {
    expect(readOptions([])).toMatchObject({ clients: CLIENTS, transports: ["http", "websocket"], isInstalling: false });
    const { clients, transports, isInstalling } = readOptions(["pi", "--transport", "auto", "--install"]);
    expect(clients.map(({ name }) => name)).toEqual(["pi"]);
    expect([transports, isInstalling]).toEqual([["auto"], true]);
  });

  test.each([
    [["--instal"], "--instal"],
    [["no-such-client"], "No client is called 'no-such-client'."],
    [["--transport", "tcp"], "No transport is called 'tcp'"],
    // A part of the table would look like the whole.
    [["pi", "--record"], "--record needs all clients."],
  ])("refuses %p", (args, said) => {
    expect(() => readOptions(args)).toThrow(said);
  });
});

const client = (name: string, more: Partial<Client> = {}): Client => ({
  name,
  command: name,
  package: { registry: "npm", name },
  args: () => [],
  ...more,
});
const task = (more: Partial<Task> = {}): Task => ({ way: "run", model: "gpt-5.5", transport: "http", ...more });

test("a table tells passes by way, and whose the failures are", () => {
  const first = client("first", { remark: "over HTTP" });
  const second = client("second", { excuses: [{ says: /log in/, reason: "wants an account of its own" }] });
  const results: Result[] = [
    { client: first, task: task(), problem: undefined },
    { client: first, task: task({ transport: "websocket" }), problem: "no file;\nexit 1" },
    { client: second, task: task(), problem: "please log in" },
    { client: second, task: task({ transport: "websocket" }), problem: "please log in" },
  ];
  const versions = new Map([
    ["first", "1.2.3"],
    ["second", "4.5.6"],
    ["third", undefined],
  ]);
  expect(relayFailures(results)).toEqual(results.slice(1, 2));
  expect(table({ results, versions }, ["http", "websocket"])).toEqual([
    "| client | version | http | websocket | the relay's | the client's |",
    "| --- | --- | --- | --- | --- | --- |",
    "| first, over HTTP | 1.2.3 | 1 / 1 | 0 / 1 | 1 | 0 |",
    "| second | 4.5.6 | 0 / 1 | 0 / 1 | 0 | 2 |",
    "",
    "Not installed: third.",
    "",
    "- first (over HTTP) by run with gpt-5.5 over websocket: the relay's: no file; exit 1",
    "- second: the client's: wants an account of its own",
  ]);
  expect(titleOf(second, task({ way: "run --demo", model: "" }))).toBe("second by run --demo over http");
});

test("a part of the record is replaced, and the rest stays", () => {
  const text = "# Title\n<!-- suites -->\nold\n<!-- /suites -->\n<!-- clients -->\nold\n<!-- /clients -->\n";
  const once = withSection(text, "clients", ["| new |"], "2026-11-27");
  expect(once).toBe(
    "# Title\n<!-- suites -->\nold\n<!-- /suites -->\n<!-- clients -->\nRun on 2026-11-27.\n\n| new |\n<!-- /clients -->\n",
  );
  expect(withSection(once, "clients", ["| new |"], "2026-11-27")).toBe(once);
  expect(() => withSection("", "clients", [], "2026-11-27")).toThrow("clients");
});
